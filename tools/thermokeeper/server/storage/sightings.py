"""When each thing, device and token was last heard of: gathered in memory, and written every half minute.

A poll costs no write so, and a note never fails the call that it is of: what can't be written waits for the next time.
A server that is killed loses the last half minute of them.
"""

from __future__ import annotations

import logging
import threading
from datetime import datetime
from typing import cast

from sqlalchemy import Table, Update, bindparam, or_, update
from sqlalchemy.exc import SQLAlchemyError

from thermokeeper.contract.times import now
from thermokeeper.server.refusals import Busy
from thermokeeper.server.storage.account_models import VendorToken
from thermokeeper.server.storage.database import Database
from thermokeeper.server.storage.dms_models import DmsDevice
from thermokeeper.server.storage.models import Thing

log = logging.getLogger("thermokeeper.server")

EVERY_S = 30.0
_ROWS = 500  # in a transaction: others write in between
_PAUSE_S = 0.02  # for them: who has had the turn would get it again

_TABLES = {
    "thing": (Thing, Thing.id),
    "device": (DmsDevice, DmsDevice.uuid),
    "token": (VendorToken, VendorToken.id),
}


def _update(kind: str) -> Update:
    model, key = _TABLES[kind]
    table = cast(Table, model.__table__)
    seen = table.c.last_seen_at  # another server may have heard of it since
    later = or_(seen.is_(None), seen < bindparam("moment"))
    return update(table).where(key == bindparam("row"), later).values(last_seen_at=bindparam("moment"))


class Sightings:
    """Begins to write with `start`; `stop` writes what is left."""

    def __init__(self, database: Database, every_s: float = EVERY_S) -> None:
        self._database = database
        self._every_s = every_s
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, str], datetime] = {}  # ("thing", id) or ("device", uuid), ("token", id): when
        self._failed = False
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="sightings", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        self.write()

    def note(self, thing_id: str | None, uuid: str | None = None) -> None:
        """The thing, or the device, or both called just now."""
        moment = now()
        with self._lock:
            if thing_id is not None:
                self._seen["thing", thing_id] = moment
            if uuid is not None:
                self._seen["device", uuid] = moment

    def note_token(self, token_id: str) -> None:
        """An account's token was shown just now."""
        moment = now()
        with self._lock:
            self._seen["token", token_id] = moment

    def of_token(self, token: VendorToken) -> datetime | None:
        return self._latest(("token", token.id), token.last_seen_at)

    def of_thing(self, thing: Thing) -> datetime | None:
        return self._latest(("thing", thing.id), thing.last_seen_at)

    def of_device(self, device: DmsDevice) -> datetime | None:
        return self._latest(("device", device.uuid), device.last_seen_at)

    def write(self) -> None:
        """Write what was gathered; what the database doesn't take now is kept."""
        while True:
            with self._lock:
                part = dict(list(self._seen.items())[:_ROWS])
            if not part:
                return
            try:
                with self._database.writing() as session:
                    for kind in _TABLES:
                        rows = [{"row": key[1], "moment": at} for key, at in part.items() if key[0] == kind]
                        if rows:
                            session.connection().execute(_update(kind), rows)
            except (SQLAlchemyError, Busy) as error:
                if not self._failed:  # once for a trouble that lasts
                    log.error("when devices were last heard of can't be written, and is kept: %s", _first_line(error))
                self._failed = True
                return
            self._failed = False
            with self._lock:
                for key, at in part.items():
                    if self._seen.get(key) == at:
                        del self._seen[key]
            self._over.wait(_PAUSE_S)

    def _latest(self, key: tuple[str, str], stored: datetime | None) -> datetime | None:
        with self._lock:
            noted = self._seen.get(key)
        return max((moment for moment in (noted, stored) if moment is not None), default=None)

    def _run(self) -> None:
        while not self._over.wait(self._every_s):
            self.write()


def _first_line(error: Exception) -> str:
    return (str(getattr(error, "orig", error)) or type(error).__name__).splitlines()[0]
