"""The database: opened, its schema made or migrated, and sessions on it.

SQLite runs in WAL mode and takes its write lock with the first statement of a writing session: two writers queue
instead of one of them failing in the middle.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, insert, inspect, make_url, select, update
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from thermokeeper.errors import ToolError
from thermokeeper.server.storage import dms_models
from thermokeeper.server.storage.models import Base, SchemaVersion

SCHEMA_VERSION = 3


def _add_dms_tables(connection: Connection) -> None:
    Base.metadata.create_all(connection, tables=dms_models.TABLES)


def _add_proofs(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE products ADD COLUMN proof_required BOOLEAN NOT NULL DEFAULT FALSE")
    connection.exec_driver_sql("ALTER TABLE serials ADD COLUMN proof_key VARCHAR(64)")


# version -> what makes the next one of it; each gets a connection in a transaction
MIGRATIONS: dict[int, Callable[[Connection], None]] = {1: _add_dms_tables, 2: _add_proofs}

DATABASE_FILE = "thermokeeper.db"
_BUSY_TIMEOUT_MS = 10_000
_MAX_CONNECTIONS = 40  # as many as there are worker threads: none waits for another's connection


class Database:
    """`with database.reading() as session` or `.writing()`; leaving the latter cleanly commits."""

    def __init__(self, url: str | None, data_dir: Path) -> None:
        self.engine = _engine(_url(url, data_dir))
        self._readers = sessionmaker(self.engine, expire_on_commit=False)
        self._writers = sessionmaker(self.engine.execution_options(writes=True), expire_on_commit=False)
        try:
            _prepare_schema(self.engine.execution_options(writes=True))
        except SQLAlchemyError as error:
            self.engine.dispose()
            reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
            raise ToolError(f"the database can't be opened: {reason}") from None
        except ToolError:
            self.engine.dispose()
            raise

    def reading(self) -> Session:
        """A session that must not change anything: what it holds is dropped on leaving."""
        return self._readers()

    @contextmanager
    def writing(self) -> Iterator[Session]:
        with self._writers.begin() as session:
            yield session

    def close(self) -> None:
        self.engine.dispose()


def _url(text: str | None, data_dir: Path) -> URL:
    if text is None:
        return URL.create("sqlite", database=str(data_dir / DATABASE_FILE))
    try:
        url = make_url(text)
    except ArgumentError:
        raise ToolError("the database URL isn't one; it looks like postgresql://user:password@host/name") from None
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise ToolError(f"the database {url.get_backend_name()} is not supported: take sqlite or postgresql")
    return url


def _engine(url: URL) -> Engine:
    try:
        # parameters stay out of messages: they end in logs
        engine = create_engine(
            url, hide_parameters=True, pool_size=5, max_overflow=_MAX_CONNECTIONS - 5, pool_pre_ping=True
        )
    except (NoSuchModuleError, ModuleNotFoundError):
        raise ToolError("the driver for this database is missing: pip install 'thermokeeper[postgresql]'") from None
    except TypeError:
        raise ToolError("an SQLite database must be a file: sqlite:////path/to/file.db") from None
    if url.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: DBAPIConnection, _record: object) -> None:
    connection.isolation_level = None  # no BEGIN of the driver's own: see _begin_sqlite
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")


def _prepare_schema(engine: Engine) -> None:
    """Make the tables in an empty database; bring an older schema up to date; refuse any other."""
    with engine.begin() as connection:
        tables = set(inspect(connection).get_table_names())
        if not tables:
            Base.metadata.create_all(connection)
            connection.execute(insert(SchemaVersion).values(version=SCHEMA_VERSION))
            return
        found = connection.scalar(select(SchemaVersion.version)) if "schema_version" in tables else None
        if found is None:
            raise ToolError("the database belongs to another program: give an empty one")
        if found > SCHEMA_VERSION:
            raise ToolError(
                f"the database has schema {found}, newer than this Thermokeeper knows ({SCHEMA_VERSION}): upgrade it"
            )
        for version in range(found, SCHEMA_VERSION):
            if version not in MIGRATIONS:
                raise ToolError(
                    f"the database has schema {version}, too old: open it with an earlier Thermokeeper first"
                )
            MIGRATIONS[version](connection)
        if found < SCHEMA_VERSION:
            connection.execute(update(SchemaVersion).values(version=SCHEMA_VERSION))
