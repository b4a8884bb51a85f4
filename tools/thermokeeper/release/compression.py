"""Compressed parts of a release, as keeper.inflating and keeper.reusing take them apart on a device.

An encoding is a row of chunks of raw deflate. "deflate", which the first version of the board's code knows alone, has
chunks for 2 KiB each; "deflate4" for 4 KiB, which is smaller (8 KiB would take 1 % less, and 3.5 KB more of a board's
heap); "blocks" has an index before them, by which a board takes the blocks that it has from its running slot.
"""

import hashlib
import io
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from keeper.board.layout import BLOCK_SIZE, CHUNK_SIZES, REUSING, REUSING_LIMIT, WINDOW_BITS
from keeper.reusing.blocks import GAP_SIZE
from thermokeeper.errors import ToolError

ENCODING = "deflate4"  # of what can't be made of the running slot
MARK_SIZE = 4
_ENTRY = struct.Struct("<4sH")  # first bytes of a block's SHA-256, length of its chunk


def encoding_for(name: str, data: bytes) -> str:
    """What a part is stored in: blocks come again in file systems only, and a board keeps their index in memory."""
    return REUSING if name == "fs" and len(data) <= REUSING_LIMIT else ENCODING


def pack(data: bytes, encoding: str = ENCODING) -> bytes:
    """`data` in chunks; one that doesn't get smaller stays as it is."""
    chunk_size = CHUNK_SIZES[encoding]
    index = bytearray()
    packed = bytearray()
    for start in range(0, len(data), chunk_size):
        plain = data[start : start + chunk_size]
        deflate = zlib.compressobj(9, zlib.DEFLATED, -WINDOW_BITS[encoding])
        chunk = deflate.compress(plain) + deflate.flush()
        if len(chunk) >= len(plain):
            chunk = plain
        if encoding == REUSING:
            index += _ENTRY.pack(mark(plain), len(chunk))
        else:
            packed += struct.pack("<H", len(chunk))
        packed += chunk
    return bytes(index + packed)


def unpack(packed: bytes, size: int, encoding: str = ENCODING) -> bytes:
    """The `size` bytes that `packed` stands for; ToolError if it is damaged."""
    return b"".join(chunks(io.BytesIO(packed), len(packed), size, encoding))


def chunks(file: BinaryIO, stored: int, size: int, encoding: str = ENCODING) -> Iterator[bytes]:
    """The same piece by piece, of the `stored` bytes that come next in a file."""
    chunk_size = CHUNK_SIZES[encoding]
    index = file.read(_ENTRY.size * (size // BLOCK_SIZE)) if encoding == REUSING else b""
    left, done = stored - len(index), 0
    while done < size:
        wanted = min(chunk_size, size - done)
        entry = index[_ENTRY.size * (done // BLOCK_SIZE) :][: _ENTRY.size]
        if encoding == REUSING:
            length = int.from_bytes(entry[4:], "little")
        else:
            length = int.from_bytes(file.read(2), "little")
            left -= 2
        left -= length
        chunk = file.read(length) if 0 < length <= wanted and left >= 0 else b""
        if len(chunk) != length or not chunk:
            raise ToolError("a compressed part is damaged")
        plain = chunk if length == wanted else _inflate(chunk, wanted, encoding)
        if encoding == REUSING and mark(plain) != entry[:4]:
            raise ToolError("a compressed part is damaged")
        done += len(plain)
        yield plain
    if left:
        raise ToolError("a compressed part is longer than what it stands for")


def index_size(size: int) -> int:
    """Bytes of the index of a part in "blocks", which stands first in it."""
    return size // BLOCK_SIZE * _ENTRY.size


def fetched_bytes(packed: bytes, size: int, there: bytes) -> int:
    """How much of a part in "blocks" a board downloads whose running slot has `there`."""
    known = b"".join(mark(there[at : at + BLOCK_SIZE]) for at in range(0, len(there), BLOCK_SIZE))
    return fetched_by(packed[: index_size(size)], known)


def fetched_by(index: bytes, marks: bytes) -> int:
    """The same by the part's index and the marks of the blocks there, one behind the other."""
    known = {marks[at : at + MARK_SIZE] for at in range(0, len(marks), MARK_SIZE)}
    fetched = len(index)
    gap = GAP_SIZE + 1
    for found, length in _ENTRY.iter_unpack(index):
        if found in known:
            gap += length
        else:
            fetched += length + (gap if gap <= GAP_SIZE else 0)
            gap = 0
    return fetched


def mark(block: bytes) -> bytes:
    """By which a board knows a block again."""
    return hashlib.sha256(block).digest()[:MARK_SIZE]


def _inflate(chunk: bytes, wanted: int, encoding: str) -> bytes:
    inflate = zlib.decompressobj(-WINDOW_BITS[encoding])
    try:
        plain = inflate.decompress(chunk, wanted) + inflate.decompress(inflate.unconsumed_tail, 1)
    except zlib.error:
        plain = b""
    if len(plain) != wanted or not inflate.eof:
        raise ToolError("a compressed part is damaged")
    return plain
