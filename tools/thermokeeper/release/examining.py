"""A release file checked as a board does it, as a stream: it may be as large as it likes, little of it is in memory.

Header, sizes, the hash of each part, the application image; and what is worth knowing of it for those that follow:
which keys it trusts, and the marks by which boards find the blocks of its file system. Whose signature it has is not
asked here. Every fault is a ReleaseError with the board's own words where there are any.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from keeper import release
from keeper.board.layout import BLOCK_SIZE, REUSING
from keeper.errors import ReleaseError
from keeper.imaging import check, whole_length
from thermokeeper.errors import ToolError
from thermokeeper.release.compression import chunks, fetched_by, index_size, mark
from thermokeeper.release.filesystem import read_some
from thermokeeper.release.trust import Trust, read_trust

_TRUST_BYTES = 64 * 1024  # of the module with the keys; one with 16 of them has 8
_TRUST_FILES = ("trust.mpy", "trust.py")
HEADERS_SIZE = 2 * release.HEADER_SIZE  # a board fetches the header to decide, and once more to write it last


@dataclass(frozen=True)
class Release:
    """What is known of a release. trust: None if it can't be read; marks: of the blocks of its file system, one behind
    the other; index: of its file system in "blocks", or nothing."""

    header: bytes
    trust: Trust | None
    marks: bytes
    index: bytes

    @property
    def manifest(self) -> release.Manifest:
        return release.parse(self.header)


def examine(file: BinaryIO) -> Release:
    """Read a release file from its start to its end; ReleaseError says what is wrong with it."""
    file.seek(0)
    header = file.read(release.HEADER_SIZE)
    manifest = release.parse(header)
    size = file.seek(0, os.SEEK_END)
    if size != manifest.file_size:
        raise ReleaseError(f"the release has {size} bytes, its manifest says {manifest.file_size}")
    start = release.HEADER_SIZE
    file.seek(start)
    with tempfile.TemporaryFile() as app:
        _spread(file, manifest.app, app.write)
        _check_application(app, manifest)
    start += manifest.app.stored
    file.seek(start)
    index = file.read(index_size(manifest.fs.size)) if manifest.fs.encoding == REUSING else b""
    file.seek(start)
    marks = bytearray()
    with tempfile.TemporaryFile() as fs:

        def take(block: bytes) -> None:
            fs.write(block)
            marks.extend(mark(block))

        _spread(file, manifest.fs, take)
        return Release(header, _trust_in(fs, manifest.fs.size), bytes(marks), index)


def download_bytes(wanted: Release, there: Release) -> int:
    """How much a board that runs `there` downloads to get the other one; docs/release-format.md says what it skips."""
    new, old = wanted.manifest, there.manifest
    if new.digest == old.digest:
        return 0
    have = {(part.size, part.sha256) for part in old.parts}
    size = HEADERS_SIZE
    for part in new.parts:
        if (part.size, part.sha256) not in have:
            size += fetched_by(wanted.index, there.marks) if part.encoding == REUSING else part.stored
    return size


def refusal_by(there: Release, wanted: Release, revoked: Collection[str] = ()) -> str:
    """Why a board that runs `there` would not take the other one; "" if it would, as far as can be told here.

    revoked: ids of keys that releases before have revoked: a board remembers them.
    """
    old, new = there.manifest, wanted.manifest
    try:
        # what its slot has room for isn't known here
        release.check(new, old.product, old.chip, new.slot_size, old.security)
        if there.trust is not None:
            gone = {*revoked, *there.trust.revoked}
            release.verify(
                wanted.header, {name: there.trust.keys[name] for name in there.trust.keys if name not in gone}
            )
    except ReleaseError as error:
        return str(error)
    return ""


def _spread(file: BinaryIO, part: release.Part, take: Callable[[bytes], object]) -> None:
    """Hand out the plain content of a part, which begins here in the file, block by block; its hash must be right."""
    digest = hashlib.sha256()
    try:
        for block in _blocks(file, part):
            digest.update(block)
            take(block)
    except ToolError as error:
        raise ReleaseError(f"part {part.name}: {error}") from None
    if digest.digest() != part.sha256:
        raise ReleaseError(f"part {part.name} isn't what the manifest says (SHA-256 differs)")


def _blocks(file: BinaryIO, part: release.Part) -> Iterator[bytes]:
    """Of 4096 bytes but the last one."""
    if not part.encoding:
        left = part.size
        while left:
            block = file.read(min(left, BLOCK_SIZE))
            if not block:
                raise ReleaseError(f"the file ends in its part {part.name}")
            left -= len(block)
            yield block
        return
    before = b""
    for piece in chunks(file, part.stored, part.size, part.encoding):
        before += piece
        if len(before) >= BLOCK_SIZE:
            yield before[:BLOCK_SIZE]
            before = before[BLOCK_SIZE:]
    if before:
        yield before


def _check_application(app: BinaryIO, manifest: release.Manifest) -> None:
    def read(offset: int, buffer: bytearray) -> None:
        app.seek(offset)
        piece = app.read(len(buffer))
        if len(piece) != len(buffer):
            raise ReleaseError("the application image is cut off")
        buffer[:] = piece

    limit = manifest.app.size
    size = whole_length(read, check(read, limit, manifest.chip), limit)
    if size != limit:
        raise ReleaseError(f"application image has {size} bytes, its manifest says {limit}")


def _trust_in(fs: BinaryIO, size: int) -> Trust | None:
    try:
        return read_trust(read_some(fs, size, _TRUST_FILES, _TRUST_BYTES))
    except ToolError:
        return None
