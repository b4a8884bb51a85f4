"""What has changed in the database of that which is kept in memory: numbers that go up when it does.

Whoever keeps something takes the mark of it before he reads, keeps it with what he read, and drops that when the mark
is another. The sessions that write find out themselves what they change and count it up behind their commit, so that
no call can forget it. The numbers are this process's, or a file's that the processes on one machine share; to other
machines `announcements` carries them. A change concerns one key, by its hash, or everybody.
"""

from __future__ import annotations

import itertools
import mmap
import os
import threading
import zlib
from pathlib import Path
from typing import Any, Protocol, cast

from sqlalchemy import Table, event, inspect, select
from sqlalchemy.orm import ORMExecuteState, Session, UOWTransaction, sessionmaker

from thermokeeper.server.storage.dms_models import DmsDevice
from thermokeeper.server.storage.models import Base, Product, Serial, Template, Thing, Version

_STRIPES = 4096  # keys that share a number are dropped together
_SIZE = 8 * (1 + _STRIPES)
_PENDING = "changes"  # in a session's info: what its commit will have changed

EVERYBODY = ""
Mark = tuple[int, int]

# Of these a change concerns everybody, but for these attributes, which devices aren't told of.
_SHARED: dict[type[Base], frozenset[str]] = {
    Template: frozenset({"description"}),
    Version: frozenset({"update_to", "update_to_id", "update_by_thing", "update_automatic"}),
    Product: frozenset({"things_named", "proof_required", "claim_code_required", "retired", "name", "flash_size"}),
}
# Of these it concerns the device with that serial number.
_OF_SERIAL = frozenset({"thing", "proof_key", "proved_ms", "claim_hash", "retired", "target_by_owner"})
# Of these it concerns who shows the key with that hash: the attributes that devices are known by.
_OWN: dict[type[Base], tuple[str, frozenset[str]]] = {
    Thing: ("key_hash", frozenset({"key_hash", "serial", "serial_id"})),
    DmsDevice: ("credential_hash", frozenset({"credential_hash", "serial", "serial_id"})),
}


_KEPT = frozenset({Serial, *_SHARED, *_OWN})
_SERIALS_AT_ONCE = 100


class Announcer(Protocol):
    """Who tells other machines."""

    def announce(self, session: Session, key_hash: str) -> None:
        """With the commit of this session."""

    def settle(self) -> None:
        """They are told."""


class Changes:
    """`file`: of the processes that share a database on this machine; made by the first."""

    def __init__(self, file: Path | None = None) -> None:
        self.deaf = False  # what others change isn't heard: no mark is ever the same
        self._never = itertools.count(1)
        self._lock = threading.Lock()
        self._handle: int | None = None
        if file is None:
            memory = memoryview(bytearray(_SIZE))
        else:
            self._handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
            os.ftruncate(self._handle, _SIZE)
            memory = memoryview(mmap.mmap(self._handle, _SIZE))
        self._numbers = memory.cast("Q")

    def mark(self, key_hash: str) -> Mark:
        if self.deaf:
            return -next(self._never), 0
        return self._numbers[0], self._numbers[_stripe(key_hash)]

    def count(self, key_hash: str) -> None:
        """A change of what belongs to this key, or to `EVERYBODY`."""
        place = _stripe(key_hash) if key_hash else 0
        with self._lock, _alone(self._handle):
            self._numbers[place] += 1

    def follow(self, sessions: sessionmaker[Session], announcer: Announcer | None = None) -> None:
        """Count what sessions of this maker commit, and have others told."""

        def flushed(session: Session, _context: UOWTransaction) -> None:
            for key_hash in _changed_by(session):
                note(session, key_hash)

        def executed(state: ORMExecuteState) -> None:
            mapper = state.bind_mapper
            if (state.is_update or state.is_delete) and mapper is not None and mapper.class_ in _KEPT:
                note(state.session, EVERYBODY)

        def note(session: Session, key_hash: str) -> None:
            pending: set[str] = session.info.setdefault(_PENDING, set())
            if key_hash not in pending:
                pending.add(key_hash)
                if announcer is not None:
                    announcer.announce(session, key_hash)

        def committed(session: Session) -> None:
            pending = session.info.pop(_PENDING, ())
            for key_hash in pending:
                self.count(key_hash)
            if pending and announcer is not None:
                announcer.settle()

        event.listen(sessions, "after_flush", flushed)
        event.listen(sessions, "do_orm_execute", executed)
        event.listen(sessions, "after_commit", committed)


def _stripe(key_hash: str) -> int:
    return 1 + zlib.crc32(key_hash.encode()) % _STRIPES


def _changed_by(session: Session) -> set[str]:
    found = set()
    for row in session.deleted:
        if type(row) in _KEPT:
            found.add(EVERYBODY)
    serials = []
    for row in session.dirty:
        kind: Any = type(row)
        if kind in _SHARED:
            if _attributes_changed(row) - _SHARED[kind]:
                found.add(EVERYBODY)
        elif kind in _OWN:
            name, attributes = _OWN[kind]
            if _attributes_changed(row) & attributes:
                history = inspect(row).attrs[name].history
                former = history.deleted or history.unchanged or ()
                # what it was isn't known where it was set without having been loaded
                found |= {key_hash for key_hash in former if key_hash} if former else {EVERYBODY}
        elif kind is Serial and _attributes_changed(row) - _OF_SERIAL:
            serials.append(row.id)
    return found | _keys_of(session, serials)


def _keys_of(session: Session, serials: list[str]) -> set[str]:
    """The hashes of the keys that devices with these serial numbers show: an activation locks its serial number, too.

    A credential of the DMS changes without that, and so it isn't known here.
    """
    if not serials:
        return set()
    if len(serials) > _SERIALS_AT_ONCE:
        return {EVERYBODY}
    things, devices = (cast(Table, kind.__table__) for kind in (Thing, DmsDevice))
    connection = session.connection()
    if connection.scalar(select(devices.c.uuid).where(devices.c.serial_id.in_(serials)).limit(1)):
        return {EVERYBODY}
    return set(connection.scalars(select(things.c.key_hash).where(things.c.serial_id.in_(serials)))) - {None}


def _attributes_changed(row: object) -> set[str]:
    return {attribute.key for attribute in inspect(row, raiseerr=True).attrs if attribute.history.has_changes()}


class _alone:  # used like a function
    """No other process counts meanwhile."""

    def __init__(self, handle: int | None) -> None:
        self._handle = handle

    def __enter__(self) -> None:
        if self._handle is not None:
            import fcntl

            fcntl.flock(self._handle, fcntl.LOCK_EX)

    def __exit__(self, *_error: object) -> None:
        if self._handle is not None:
            import fcntl

            fcntl.flock(self._handle, fcntl.LOCK_UN)
