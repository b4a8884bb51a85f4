"""Compressed parts of a release, as keeper.inflating and keeper.reusing take them apart on a device.

An encoding is a row of chunks of raw deflate. "deflate", which the first version of the board's code knows alone, has
chunks for 2 KiB each; "deflate4" for 4 KiB, which is smaller (8 KiB would take 1 % less, and 3.5 KB more of a board's
heap); "blocks" has an index before them, by which a board takes the blocks that it has from its running slot.
"""

import hashlib
import struct
import zlib

from keeper.board.layout import BLOCK_SIZE, CHUNK_SIZES, REUSING, REUSING_LIMIT, WINDOW_BITS
from keeper.reusing.blocks import GAP_SIZE
from thermokeeper.errors import ToolError

ENCODING = "deflate4"  # of what can't be made of the running slot
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
            index += _ENTRY.pack(_mark(plain), len(chunk))
        else:
            packed += struct.pack("<H", len(chunk))
        packed += chunk
    return bytes(index + packed)


def unpack(packed: bytes, size: int, encoding: str = ENCODING) -> bytes:
    """The `size` bytes that `packed` stands for; ToolError if it is damaged."""
    chunk_size = CHUNK_SIZES[encoding]
    data = bytearray()
    at = _ENTRY.size * (size // BLOCK_SIZE) if encoding == REUSING else 0
    while len(data) < size:
        wanted = min(chunk_size, size - len(data))
        if encoding == REUSING:
            entry = _ENTRY.size * (len(data) // BLOCK_SIZE)
            length = int.from_bytes(packed[entry + 4 : entry + 6], "little")
        else:
            length = int.from_bytes(packed[at : at + 2], "little")
            at += 2
        chunk = packed[at : at + length]
        at += length
        if len(chunk) != length or not 0 < length <= wanted:
            raise ToolError("a compressed part is damaged")
        plain = chunk if length == wanted else _inflate(chunk, wanted, encoding)
        if encoding == REUSING and _mark(plain) != packed[entry : entry + 4]:
            raise ToolError("a compressed part is damaged")
        data += plain
    if at != len(packed):
        raise ToolError("a compressed part is longer than what it stands for")
    return bytes(data)


def fetched_bytes(packed: bytes, size: int, there: bytes) -> int:
    """How much of a part in "blocks" a board downloads whose running slot has `there`."""
    known = {_mark(there[at : at + BLOCK_SIZE]) for at in range(0, len(there), BLOCK_SIZE)}
    count = size // BLOCK_SIZE
    fetched = count * _ENTRY.size
    gap = GAP_SIZE + 1
    for mark, length in _ENTRY.iter_unpack(packed[: count * _ENTRY.size]):
        if mark in known:
            gap += length
        else:
            fetched += length + (gap if gap <= GAP_SIZE else 0)
            gap = 0
    return fetched


def _mark(block: bytes) -> bytes:
    return hashlib.sha256(block).digest()[:4]


def _inflate(chunk: bytes, wanted: int, encoding: str) -> bytes:
    inflate = zlib.decompressobj(-WINDOW_BITS[encoding])
    try:
        plain = inflate.decompress(chunk, wanted) + inflate.decompress(inflate.unconsumed_tail, 1)
    except zlib.error:
        plain = b""
    if len(plain) != wanted or not inflate.eof:
        raise ToolError("a compressed part is damaged")
    return plain
