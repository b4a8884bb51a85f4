"""Firmware in a database that servers on several machines share: in pieces, each there once by its content's SHA-256.

The folder of each machine is a cache then: what isn't in it is fetched at the first download, whole and checked. On
SQLite there is one machine, and the folder is the store itself.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import delete, exists, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from thermokeeper.server.storage.database import Database
from thermokeeper.server.storage.firmware import FirmwareStore, Received
from thermokeeper.server.storage.models import Version
from thermokeeper.server.storage.shared_models import FirmwarePart, FirmwarePiece

log = logging.getLogger("thermokeeper.server")

PIECE_BYTES = 256 * 1024


class SharedFirmware(FirmwareStore):
    """A `FirmwareStore` whose folder is a cache of the database's pieces."""

    def __init__(self, folder: Path, limit_bytes: int, database: Database) -> None:
        super().__init__(folder, limit_bytes)
        self._database = database
        self._fetching = threading.Lock()

    def start(self) -> None:
        """Give the database what only this machine has, of a time before it kept firmware; drop what it has no more."""
        with self._database.reading() as session:
            kept = select(FirmwarePart.version_id).where(FirmwarePart.version_id == Version.id)
            only_here = select(Version).where(Version.firmware_size.is_not(None), ~exists(kept))
            missing = list(session.scalars(only_here))
            known = set(session.scalars(select(Version.id)))
        for version in missing:
            if self._has(version.id, version.firmware_size):
                with self._database.writing() as session:
                    _put(session, version.id, self._path(version.id))
                log.info("the firmware of version %s (%s) is in the database now", version.name, version.id)
        for file in self._folder.glob("*.bin"):
            if file.stem not in known:
                file.unlink(missing_ok=True)

    def keep(self, received: Received, version_id: str, session: Session) -> None:
        _put(session, version_id, received.path)
        super().keep(received, version_id, session)

    def open(self, version_id: str, size: int) -> BinaryIO:
        if not self._has(version_id, size):
            with self._fetching:  # many may ask at once
                if not self._has(version_id, size):
                    self._fetch(version_id)
        return super().open(version_id, size)

    def forget(self, version_id: str, session: Session) -> None:
        mine = select(FirmwarePart.sha256).where(FirmwarePart.version_id == version_id)
        digests = set(session.scalars(mine))
        connection = session.connection()
        connection.execute(delete(FirmwarePart).where(FirmwarePart.version_id == version_id))
        used = exists(select(FirmwarePart.sha256).where(FirmwarePart.sha256 == FirmwarePiece.sha256))
        for digest in digests:
            connection.execute(delete(FirmwarePiece).where(FirmwarePiece.sha256 == digest, ~used))

    def _has(self, version_id: str, size: int | None) -> bool:
        try:
            return self._path(version_id).stat().st_size == size
        except FileNotFoundError:
            return False

    def _fetch(self, version_id: str) -> None:
        """FileNotFoundError if the database hasn't got it; OSError if it isn't what was uploaded."""
        handle, name = tempfile.mkstemp(suffix=".part", dir=self._folder)
        digest = hashlib.sha256()
        try:
            with open(handle, "wb") as file, self._database.reading() as session:
                wanted = session.scalar(select(Version.firmware_sha256).where(Version.id == version_id))
                for data in _pieces(session, version_id):
                    digest.update(data)
                    file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if not Path(name).stat().st_size:
                raise FileNotFoundError(f"firmware of version {version_id}: the database has none")
            if digest.hexdigest() != wanted:
                raise OSError(f"firmware of version {version_id}: the database has another than was uploaded")
            os.replace(name, self._path(version_id))
        finally:
            Path(name).unlink(missing_ok=True)


def _put(session: Session, version_id: str, path: Path) -> None:
    connection = session.connection()
    with path.open("rb") as file:
        number = 0
        while data := file.read(PIECE_BYTES):
            digest = hashlib.sha256(data).hexdigest()
            piece = postgresql.insert(FirmwarePiece).values(sha256=digest, data=data)
            connection.execute(piece.on_conflict_do_nothing())
            part = postgresql.insert(FirmwarePart).values(version_id=version_id, number=number, sha256=digest)
            connection.execute(part.on_conflict_do_nothing())
            number += 1


def _pieces(session: Session, version_id: str) -> Iterator[bytes]:
    """In their order, one at a time."""
    parts = select(FirmwarePart.sha256).where(FirmwarePart.version_id == version_id).order_by(FirmwarePart.number)
    for digest in list(session.scalars(parts)):
        data = session.scalar(select(FirmwarePiece.data).where(FirmwarePiece.sha256 == digest))
        if data is None:
            raise OSError(f"firmware of version {version_id}: a piece of it is gone from the database")
        yield data
