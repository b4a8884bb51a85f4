"""The database: opened, its schema made or migrated, and sessions on it.

SQLite runs in WAL mode and takes its write lock with the first statement of a writing session; the writers of this
process queue for it.
"""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import URL, Connection, Engine, create_engine, event, func, make_url, select
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker
from starlette.concurrency import run_in_threadpool

from thermokeeper.errors import ToolError
from thermokeeper.server.refusals import Busy
from thermokeeper.server.storage import account_models as _account_models  # noqa: F401
from thermokeeper.server.storage import dms_models as _dms_models  # noqa: F401  # their tables are the schema's, too
from thermokeeper.server.storage import migrations
from thermokeeper.server.storage import shared_models as _shared_models  # noqa: F401
from thermokeeper.server.storage.announcements import Announcements
from thermokeeper.server.storage.changes import Changes
from thermokeeper.server.storage.models import Base
from thermokeeper.server.storage.together import Result, Together

log = logging.getLogger("thermokeeper.server")

DATABASE_FILE = "thermokeeper.db"
_BUSY_TIMEOUT_MS = 10_000  # for the writers of other processes
_QUEUE_S = 10.0  # for this one's
_FULL_S = 60.0  # then it is tried: who asks first may be sent elsewhere, and nobody write any more
_NO_ROOM = "53100"  # PostgreSQL's disk_full
_SCHEMA_LOCK = 0x746B
_MAX_CONNECTIONS = 40  # as many as there are worker threads: none waits for another's connection


class Database:
    """`with database.reading() as session` or `.writing()`; leaving the latter cleanly commits."""

    def __init__(self, url: str | None, data_dir: Path, changes: Changes | None = None) -> None:
        self.engine = _engine(_url(url, data_dir))
        self._readers = sessionmaker(self.engine, expire_on_commit=False)
        # SQLite has one writer at a time; who waits in it polls, and loses by "database is locked"
        alone = self.engine.dialect.name == "sqlite"
        self._queue = threading.Lock() if alone else threading.BoundedSemaphore(_MAX_CONNECTIONS)
        self._together = Together(self, _QUEUE_S) if alone else None
        self._full_until_s = 0.0
        self._writers = sessionmaker(self.engine.execution_options(writes=True), expire_on_commit=False)
        self.changes = changes or Changes()
        self.announcements = Announcements(self.engine, self.changes) if self.is_shared else None
        self.changes.follow(self._writers, self.announcements)
        try:
            if (file := _file(self.engine)) is not None:
                _make_private(file)
            _prepare_schema(self.engine.execution_options(writes=True), file)
        except SQLAlchemyError as error:
            self.engine.dispose()
            reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
            raise ToolError(f"the database can't be opened: {reason}") from None
        except ToolError:
            self.engine.dispose()
            raise

    @property
    def is_shared(self) -> bool:
        """Whether servers on other machines may use it, too."""
        return self.engine.dialect.name == "postgresql"

    def start(self) -> None:
        """Hear what other servers change."""
        if self.announcements is not None:
            self.announcements.start()

    def reading(self) -> Session:
        """A session that must not change anything: what it holds is dropped on leaving."""
        return self._readers()

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """`Busy` if others keep on writing. One call has one such session at a time: it would wait for itself."""
        if not self._queue.acquire(timeout=_QUEUE_S):
            raise Busy
        try:
            with self._writers.begin() as session:
                yield session
        except OperationalError as error:
            if found_no_room(error):
                self._full_until_s = time.monotonic() + _FULL_S
            raise
        else:
            self._full_until_s = 0.0
        finally:
            self._queue.release()

    def write(self, do: Callable[[Session], Result]) -> Result:
        """What `do(session)` returns, committed: for what many callers do at once, see `together`."""
        if self._together is not None:
            return self._together.write(do)
        with self.writing() as session:
            return do(session)

    async def write_async(self, do: Callable[[Session], Result]) -> Result:
        """The same for a caller in the event loop."""
        if self._together is not None:
            return await self._together.write_async(do)
        return await run_in_threadpool(self.write, do)

    @property
    def is_full(self) -> bool:
        """Whether a write found no room lately, and none has succeeded since."""
        return time.monotonic() < self._full_until_s

    def close(self) -> None:
        if self._together is not None:
            self._together.stop()
        if self.announcements is not None:
            self.announcements.stop()
        self.engine.dispose()


@contextmanager
def alone(url: str | None, data_dir: Path) -> Iterator[None]:
    """No other server uses this SQLite file meanwhile. ToolError if one does.

    Each keeps things in memory that another would change unseen. PostgreSQL's servers tell each other.
    """
    found = _url(url, data_dir)
    if found.get_backend_name() != "sqlite" or not found.database:
        yield
        return
    file = Path(found.database)
    lock = FileLock(file.with_name(file.name + ".lock"), timeout=0, mode=0o600, thread_local=False)
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        hint = "stop it, take another --data, or give both one PostgreSQL with --database"
        raise ToolError(f"another server runs on {file}: {hint}") from None
    except OSError as error:
        raise ToolError(f"the data folder {file.parent} can't be used: {error.strerror}") from None
    try:
        yield
    finally:
        lock.release()


def found_no_room(error: OperationalError) -> bool:
    """Whether the database has no room on its disk."""
    return getattr(error.orig, "sqlstate", None) == _NO_ROOM or "disk is full" in str(error.orig)


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


def _file(engine: Engine) -> Path | None:
    name = engine.url.database if engine.dialect.name == "sqlite" else None
    return Path(name) if name else None


def _make_private(file: Path) -> None:
    """Nobody but the server's account reads it, nor what SQLite puts beside it: that takes its mode."""
    with contextlib.suppress(OSError):  # what is wrong with the file, SQLite says in its own words
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
        if file.stat().st_mode & 0o077:
            file.chmod(0o600)


def _set_up_sqlite(connection: DBAPIConnection, _record: object) -> None:
    connection.isolation_level = None  # no BEGIN of the driver's own: see _begin_sqlite
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")


def _prepare_schema(engine: Engine, file: Path | None) -> None:
    """Make the tables in an empty database; bring an older schema up to date; refuse any other.

    file: of an SQLite database, which is copied before it is migrated.
    """
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":  # two servers may start at once
            connection.execute(select(func.pg_advisory_xact_lock(_SCHEMA_LOCK)))
        revision = migrations.found(connection)
        if revision is None:
            Base.metadata.create_all(connection)
            migrations.mark(connection, migrations.HEAD)
        elif revision != migrations.HEAD:
            if file is not None:
                copy = migrations.copy_of(file, revision)
                log.warning(
                    "the database is migrated from schema %s to %s; as it was: %s", revision, migrations.HEAD, copy
                )
            migrations.upgrade(connection, revision)
