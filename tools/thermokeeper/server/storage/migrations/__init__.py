"""How a database comes to today's schema, step by step: Alembic's, one file in versions/ for each schema there was.

An empty database gets the models' tables at once; a test holds that both ways lead to the same. A step is what was to
do on its day, so it must not know the models. What was there before Alembic is taken over by its number.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from thermokeeper.errors import ToolError

HEAD = "0012"
VERSION_TABLE = "alembic_version"
_FORMER_TABLE = "schema_version"  # of schemas 1 to 3, with a number in it
_FORMER = {1: "0001", 2: "0002", 3: "0003"}
_COPY_SUFFIX = ".before-migration"


def found(connection: Connection) -> str | None:
    """The revision of a database, None for one without tables. ToolError if it isn't ours, or of another day."""
    tables = set(inspect(connection).get_table_names())
    if not tables:
        return None
    if VERSION_TABLE in tables:
        revision = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))
        if revision is None:
            raise ToolError("the database has no revision: it was left by a migration that broke off; take its copy")
        if str(revision) > HEAD:
            raise ToolError(
                f"the database has schema {revision}, newer than this Thermokeeper knows ({HEAD}): upgrade it"
            )
        if str(revision) not in _revisions():
            raise ToolError(f"the database has schema {revision!r}, which no Thermokeeper has made: give an empty one")
        return str(revision)
    if _FORMER_TABLE not in tables:
        raise ToolError("the database belongs to another program: give an empty one")
    number = connection.scalar(text(f"SELECT version FROM {_FORMER_TABLE}"))
    if number not in _FORMER:
        raise ToolError(f"the database has schema {number}, which no Thermokeeper has made: give an empty one")
    return _FORMER[number]


def _revisions() -> set[str]:
    return {path.name[1:5] for path in (Path(__file__).parent / "versions").glob("s[0-9]*.py")}


def upgrade(connection: Connection, revision: str) -> None:
    """Bring a database with this revision to `HEAD`, in the transaction that is open."""
    from alembic import command
    from alembic.config import Config

    if inspect(connection).has_table(_FORMER_TABLE):
        connection.execute(text(f"DROP TABLE {_FORMER_TABLE}"))
        mark(connection, revision)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)


def mark(connection: Connection, revision: str) -> None:
    """Note which revision a database has that has no such note yet."""
    connection.execute(
        text(
            f"CREATE TABLE IF NOT EXISTS {VERSION_TABLE} "
            f"(version_num VARCHAR(32) NOT NULL, CONSTRAINT {VERSION_TABLE}_pkc PRIMARY KEY (version_num))"
        )
    )
    connection.execute(text(f"INSERT INTO {VERSION_TABLE} (version_num) VALUES (:revision)"), {"revision": revision})


def copy_of(path: Path, revision: str) -> Path:
    """A copy of an SQLite file as it was, beside it; ToolError if there is no room for one."""
    copy = path.with_name(f"{path.name}{_COPY_SUFFIX}-{revision}")
    part = copy.with_name(copy.name + ".part")
    try:
        part.unlink(missing_ok=True)
        with (
            contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as source,
            contextlib.closing(sqlite3.connect(part)) as target,
        ):
            source.backup(target)
        part.chmod(0o600)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(copy)
    except (sqlite3.Error, OSError) as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise ToolError(f"the database is to be migrated, and no copy of it can be kept at {copy}: {error}") from None
    return copy
