"""Compressed parts of a release, as keeper.inflate takes them apart on a device: chunks of raw deflate."""

import struct
import zlib

from thermokeeper.errors import ToolError

CHUNK_SIZE = 2048
WINDOW_BITS = 11


def pack(data: bytes) -> bytes:
    """`data` in chunks; one that doesn't get smaller stays as it is."""
    packed = bytearray()
    for start in range(0, len(data), CHUNK_SIZE):
        plain = data[start : start + CHUNK_SIZE]
        deflate = zlib.compressobj(9, zlib.DEFLATED, -WINDOW_BITS)
        chunk = deflate.compress(plain) + deflate.flush()
        if len(chunk) >= len(plain):
            chunk = plain
        packed += struct.pack("<H", len(chunk)) + chunk
    return bytes(packed)


def unpack(packed: bytes, size: int) -> bytes:
    """The `size` bytes that `packed` stands for; ToolError if it is damaged."""
    data = bytearray()
    at = 0
    while len(data) < size:
        wanted = min(CHUNK_SIZE, size - len(data))
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
