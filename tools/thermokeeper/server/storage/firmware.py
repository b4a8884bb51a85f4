"""Firmware files: taken in as a stream, kept under the id of their version, and opened again.

A file appears under its name only whole: it is written beside it, synced and renamed.
"""

import hashlib
import os
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from anyio import to_thread
from sqlalchemy.orm import Session

from keeper import release
from keeper.errors import ReleaseError
from thermokeeper.server.refusals import ApiError

_BLOCK_BYTES = 256 * 1024  # what is gathered before a thread writes it
_ABANDONED_S = 24 * 3600
_PART = ".part"


@dataclass(frozen=True)
class ReleaseInfo:
    digest: str
    version: str


@dataclass(frozen=True)
class Received:
    """An upload that is on disk, but not yet under its name."""

    path: Path
    size: int
    sha256: str
    release: ReleaseInfo | None


def inspect_release(head: bytes, size: int) -> ReleaseInfo | None:
    """Identity and version of a release file from its first 4096 bytes; None if it isn't one. ApiError if damaged."""
    if not head.startswith(release.MAGIC):
        return None
    try:
        manifest = release.parse(head)
    except ReleaseError as error:
        raise ApiError(400, "bad_release", f"the file begins like a release, but: {error}") from None
    if manifest.file_size != size:
        message = f"the release file is damaged: it has {size} bytes, its manifest says {manifest.file_size}"
        raise ApiError(400, "bad_release", message)
    return ReleaseInfo(manifest.digest, manifest.version)


class FirmwareStore:
    """A folder of firmware files; `pieces` has them in the database, too."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder = folder
        self._limit_bytes = limit_bytes
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in folder.glob(f"*{_PART}"):  # by a server that was killed
            if time.time() - left.stat().st_mtime > _ABANDONED_S:
                left.unlink(missing_ok=True)

    async def receive(self, stream: AsyncIterator[bytes]) -> Received:
        """Write a body to disk as it comes; nothing is left behind if it breaks off, is empty or too long."""
        digest = hashlib.sha256()
        head = bytearray()
        block = bytearray()
        size = 0
        handle, name = await to_thread.run_sync(lambda: tempfile.mkstemp(suffix=_PART, dir=self._folder))
        path = Path(name)
        try:
            with open(handle, "wb", buffering=0) as file:

                def write() -> None:
                    digest.update(block)
                    file.write(block)
                    block.clear()

                async for chunk in stream:
                    size += len(chunk)
                    if size > self._limit_bytes:
                        raise ApiError(413, "too_large", f"a firmware has at most {self._limit_bytes} bytes")
                    head += chunk[: release.HEADER_SIZE - len(head)]
                    block += chunk
                    if len(block) >= _BLOCK_BYTES:
                        await to_thread.run_sync(write)
                await to_thread.run_sync(write)
                await to_thread.run_sync(os.fsync, file.fileno())
            if not size:
                raise ApiError(400, "bad_request", "the firmware is empty")
            return Received(path, size, digest.hexdigest(), inspect_release(bytes(head), size))
        except BaseException:  # a cancelled upload too
            path.unlink(missing_ok=True)
            raise

    def start(self) -> None:
        """Before the first call."""

    def keep(self, received: Received, version_id: str, session: Session) -> None:
        """session: that the version is changed in; what is kept in the database is committed with it."""
        os.replace(received.path, self._path(version_id))
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def drop(self, received: Received) -> None:
        """Remove an upload that was not kept."""
        received.path.unlink(missing_ok=True)

    def open(self, version_id: str, size: int) -> BinaryIO:
        """The file, for reading; it must have the size that the database has."""
        file = self._path(version_id).open("rb")
        found = os.fstat(file.fileno()).st_size
        if found != size:
            file.close()
            raise OSError(f"firmware of version {version_id}: {found} bytes on disk, {size} were uploaded")
        return file

    def forget(self, version_id: str, session: Session) -> None:
        """session: that the version is deleted in, before it is. `remove` follows once that is committed."""

    def remove(self, version_id: str) -> None:
        self._path(version_id).unlink(missing_ok=True)

    def _path(self, version_id: str) -> Path:
        return self._folder / f"{version_id}.bin"
