"""How often one may try, counted for all servers of a database in its table `tries`; the rules are `ratelimit`'s."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from sqlalchemy import Connection, Table, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from thermokeeper.server.rules.ratelimit import BUCKETS, Name, Rate, place_of
from thermokeeper.server.storage.database import Database
from thermokeeper.server.storage.shared_models import Tries

_TABLE: Table = Tries.__table__  # type: ignore[assignment]


class SharedLimiter:
    """A `Limiter`. `key`: the servers'; `number`: from 0, another for each limiter of a server."""

    def __init__(self, database: Database, key: bytes, number: int, rate: Rate) -> None:
        self._database = database
        self._key = key
        self._first = number * BUCKETS
        self._rate = rate

    def take(self, *name: str, cost: float = 1, session: Session | None = None) -> int:
        with self._connection(session) as connection:
            place, left, at = self._level(connection, name)
            wait_s = self._rate.wait_s(left, cost)
            if not wait_s:
                self._store(connection, place, left - cost, at)
            return wait_s

    def succeeded(self, *name: str, session: Session | None = None) -> None:
        with self._connection(session) as connection:
            place, left, at = self._level(connection, name)
            self._store(connection, place, min(self._rate.burst, left + 1 - self._rate.success_cost), at)

    @contextmanager
    def _connection(self, session: Session | None) -> Iterator[Connection]:
        with nullcontext(session) if session is not None else self._database.writing() as writing:
            yield writing.connection()

    def _level(self, connection: Connection, name: Name) -> tuple[int, float, float]:
        """The bucket's place, what is in it now, and when now is; its row is locked."""
        place = self._first + place_of(self._key, name)
        insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
        now_s = _now_s(connection)
        row = {"place": place, "left": self._rate.burst, "at": now_s}
        connection.execute(insert(_TABLE).values(row).on_conflict_do_nothing())
        found = select(_TABLE.c.left, _TABLE.c.at).where(_TABLE.c.place == place).with_for_update()
        left, at = connection.execute(found).one()
        return place, self._rate.level(left, now_s - at), now_s

    @staticmethod
    def _store(connection: Connection, place: int, left: float, at: float) -> None:
        connection.execute(update(_TABLE).where(_TABLE.c.place == place).values(left=left, at=at))


def _now_s(connection: Connection) -> float:
    """The database's clock: those of its servers may differ. SQLite's processes have the same one."""
    if connection.dialect.name == "sqlite":
        return time.time()
    return float(connection.scalar(select(func.extract("epoch", func.clock_timestamp()))))  # type: ignore[arg-type]
