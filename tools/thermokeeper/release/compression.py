"""Compressed parts of a release, as keeper.inflating takes them apart on a device: chunks of raw deflate.

An encoding is the size of its chunks: 2 KiB in "deflate", which the first version of the board's code knows alone, and
4 KiB in "deflate4", which is smaller. (8 KiB would take 1 % less, and 3.5 KB more of a board's heap.)
"""

import struct
import zlib

from keeper.board.layout import CHUNK_SIZES
from thermokeeper.errors import ToolError

ENCODING = "deflate4"  # what releases are made with
WINDOW_BITS = 11


def pack(data: bytes, encoding: str = ENCODING) -> bytes:
    """`data` in chunks; one that doesn't get smaller stays as it is."""
    chunk_size = CHUNK_SIZES[encoding]
    packed = bytearray()
    for start in range(0, len(data), chunk_size):
        plain = data[start : start + chunk_size]
        deflate = zlib.compressobj(9, zlib.DEFLATED, -WINDOW_BITS)
        chunk = deflate.compress(plain) + deflate.flush()
        if len(chunk) >= len(plain):
            chunk = plain
        packed += struct.pack("<H", len(chunk)) + chunk
    return bytes(packed)


def unpack(packed: bytes, size: int, encoding: str = ENCODING) -> bytes:
    """The `size` bytes that `packed` stands for; ToolError if it is damaged."""
    chunk_size = CHUNK_SIZES[encoding]
    data = bytearray()
    at = 0
    while len(data) < size:
        wanted = min(chunk_size, size - len(data))
        length = int.from_bytes(packed[at : at + 2], "little")
        chunk = packed[at + 2 : at + 2 + length]
        at += 2 + length
        if len(chunk) != length or not 0 < length <= wanted:
            raise ToolError("a compressed part is damaged")
        data += chunk if length == wanted else _inflate(chunk, wanted)
    if at != len(packed):
        raise ToolError("a compressed part is longer than what it stands for")
    return bytes(data)


def _inflate(chunk: bytes, wanted: int) -> bytes:
    inflate = zlib.decompressobj(-WINDOW_BITS)
    try:
        plain = inflate.decompress(chunk, wanted) + inflate.decompress(inflate.unconsumed_tail, 1)
    except zlib.error:
        plain = b""
    if len(plain) != wanted or not inflate.eof:
        raise ToolError("a compressed part is damaged")
    return plain
