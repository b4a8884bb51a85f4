"""Compressed parts of a release, as keeper.inflate takes them apart on a device: chunks of raw deflate."""

import struct
import zlib

from thermokeeper.errors import ToolError

CHUNK_SIZE = 4096
WINDOW_BITS = 12


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
        try:
            plain = chunk if length == wanted else zlib.decompress(chunk, -WINDOW_BITS, wanted)
        except zlib.error:
            plain = b""
        if len(plain) != wanted:
            raise ToolError("a compressed part is damaged")
        data += plain
    if at != len(packed):
        raise ToolError("a compressed part is longer than what it stands for")
    return bytes(data)
