"""Datapoints go when they have been there for so many days; the hours that they were counted in stay.

Beside the calls, in transactions of a few milliseconds with pauses between them, so that no writer waits for it. Where
several processes or servers share a database one of them does it at a time; two would only find less to do.
"""

from __future__ import annotations

import logging
import threading
from datetime import timedelta
from typing import cast

from sqlalchemy import Table, delete, func, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from thermokeeper.contract.times import now
from thermokeeper.server.refusals import Busy
from thermokeeper.server.storage.database import Database
from thermokeeper.server.storage.models import Datapoint, Thing

log = logging.getLogger("thermokeeper.server")

_EVERY_S = 60.0
_ROWS = 500  # in a transaction
_PAUSE_S = 0.05  # between two: others write then
_LOCK = 0x746C  # PostgreSQL's, for the process that does it


def numbers_come_again(session: Session) -> None:
    """After datapoints were deleted, in that transaction: SQLite gives the numbers of the last ones again, and what
    comes then mustn't pass for a former owner's."""
    if session.get_bind().dialect.name == "sqlite":
        last = session.scalar(select(func.max(Datapoint.id))) or 0
        things = cast(Table, Thing.__table__)  # no change that devices are told of
        session.execute(update(things).where(things.c.readings_after > last).values(readings_after=last))


class Retention:
    """Begins with `start`. days None: everything stays."""

    def __init__(self, database: Database, days: int | None, rows: int = _ROWS) -> None:
        self._database = database
        self._days = days
        self._rows = rows
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        if self._days is not None:
            self._thread = threading.Thread(target=self._run, name="retention", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def sweep(self) -> int:
        """Remove all that are older; how many there were. What the database doesn't take now is tried again later."""
        removed = done_to = 0
        while True:
            try:
                last, count = self._remove_behind(done_to)
            except (SQLAlchemyError, Busy) as error:
                log.error(
                    "old datapoints can't be removed yet: %s", str(getattr(error, "orig", error)).partition("\n")[0]
                )
                return removed
            removed += count
            if not count:
                return removed
            done_to = last
            if self._over.wait(_PAUSE_S):
                return removed

    def _remove_behind(self, row_id: int) -> tuple[int, int]:
        """Of the next rows in the order of arrival, those that are old: the last one's id, and how many went."""
        assert self._days is not None
        limit = now() - timedelta(days=self._days)
        with self._database.writing() as session:
            shared = session.get_bind().dialect.name == "postgresql"
            if shared and not session.scalar(select(func.pg_try_advisory_xact_lock(_LOCK))):
                return row_id, 0
            rows = select(Datapoint.id, Datapoint.arrived_at).where(Datapoint.id > row_id)
            found = list(session.execute(rows.order_by(Datapoint.id).limit(self._rows)))
            old = [row.id for row in found if row.arrived_at < limit]
            if not old:
                return row_id, 0
            span = Datapoint.id.between(old[0], old[-1])
            session.execute(
                delete(Datapoint).where(span, Datapoint.arrived_at < limit),
                execution_options={"synchronize_session": False},
            )
            numbers_come_again(session)
        return old[-1], len(old)

    def _run(self) -> None:
        while not self._over.wait(_EVERY_S):
            if removed := self.sweep():
                log.info("%d datapoints were older than %d days and are gone", removed, self._days)
