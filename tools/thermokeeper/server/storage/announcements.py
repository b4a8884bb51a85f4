"""Changes told to the servers on other machines, by PostgreSQL's LISTEN and NOTIFY: sent with a commit, or not at all.

A server that can't listen keeps nothing (`Changes.deaf`) until it hears again. Who has changed something waits until he
hears of it himself: by then the others have been told, too.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from sqlalchemy import Engine, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from thermokeeper.server.secrets import new_id
from thermokeeper.server.storage.changes import EVERYBODY, Changes

log = logging.getLogger("thermokeeper.server")

_CHANNEL = "thermokeeper"
_LOOK_EVERY_S = 2.0  # whether the connection is still there; then its end is known within that time
_AGAIN_AFTER_S = (0.5, 1.0, 2.0, 5.0)
_ECHO_S = 0.5


class Announcements:
    """`start` begins to listen."""

    def __init__(self, engine: Engine, changes: Changes) -> None:
        self._engine = engine
        self._changes = changes
        self._me = new_id()
        self._sent = self._heard = 0
        self._news = threading.Condition()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        changes.deaf = True

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="announcements", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def announce(self, session: Session, key_hash: str) -> None:
        """With the commit of this session."""
        with self._news:
            self._sent += 1
            said = f"{self._me} {self._sent} {key_hash}"
        session.connection().execute(select(func.pg_notify(_CHANNEL, said)))

    def settle(self) -> None:
        """Wait until what was sent was heard; not for long: a rollback sends nothing."""
        with self._news:
            sent = self._sent
            self._news.wait_for(lambda: self._heard >= sent or self._changes.deaf, _ECHO_S)

    def _run(self) -> None:
        failures = 0
        while not self._over.is_set():
            try:
                self._listen()
                failures = 0
            except (SQLAlchemyError, OSError, self._driver_error()) as error:
                self._changes.deaf = True
                if not failures:
                    log.warning("other servers' changes aren't heard, nothing is kept in memory: %s", _first(error))
                self._over.wait(_AGAIN_AFTER_S[min(failures, len(_AGAIN_AFTER_S) - 1)])
                failures += 1
        self._changes.deaf = True

    def _driver_error(self) -> Any:
        return self._engine.dialect.loaded_dbapi.Error

    def _listen(self) -> None:
        with self._engine.connect() as pooled:
            connection = pooled.execution_options(isolation_level="AUTOCOMMIT")
            connection.exec_driver_sql(f"LISTEN {_CHANNEL}")
            driver: Any = pooled.connection.driver_connection
            pooled.detach()  # nobody else is to get a connection that listens
            self._changes.count(EVERYBODY)  # what was said meanwhile
            self._changes.deaf = False
            log.debug("listening for other servers' changes")
            looked_s = time.monotonic()
            while not self._over.is_set():
                for told in driver.notifies(timeout=0.2, stop_after=1):
                    self._hear(told.payload)
                if time.monotonic() > looked_s + _LOOK_EVERY_S:
                    driver.execute("SELECT 1")
                    looked_s = time.monotonic()

    def _hear(self, said: str) -> None:
        who, _, rest = said.partition(" ")
        number, _, key_hash = rest.partition(" ")
        self._changes.count(key_hash)
        if who == self._me and number.isdigit():
            with self._news:
                self._heard = max(self._heard, int(number))
                self._news.notify_all()


def _first(error: Exception) -> str:
    return (str(getattr(error, "orig", error)) or type(error).__name__).splitlines()[0]
