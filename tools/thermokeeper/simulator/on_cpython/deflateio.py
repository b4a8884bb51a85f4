"""`deflate.DeflateIO` on CPython, by zlib. It knows no board."""

from __future__ import annotations

import io
import zlib
from typing import Any

_AHEAD = 256


class DeflateIO:
    """`deflate.DeflateIO`; it takes no byte from the stream that isn't part of the compressed data."""

    def __init__(self, stream: Any, format: int = 0, wbits: int = 0, close: bool = False) -> None:
        self._stream = stream
        self._close = close
        bits = wbits or 15
        self._bits = {0: bits | 32, 1: -bits, 2: bits, 3: bits | 16}[format]
        self._format = format
        self._decompressor: Any = None
        self._compressor: Any = None
        self._rest = b""
        # what is in memory is taken by the piece, and put back as far as it wasn't needed
        self._ahead = _AHEAD if isinstance(stream, io.BytesIO) else 1

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        done = 0
        while done < len(view):
            part = self._some(len(view) - done)
            if not part:
                break
            view[done : done + len(part)] = part
            done += len(part)
        return done

    def read(self, size: int = -1) -> bytes:
        if size >= 0:
            buffer = bytearray(size)
            return bytes(buffer[: self.readinto(buffer)])
        parts = []
        while part := self._some(4096):
            parts.append(part)
        return b"".join(parts)

    def readline(self) -> bytes:
        line = b""
        while not line.endswith(b"\n") and (byte := self._some(1)):
            line += byte
        return line

    def _some(self, limit: int) -> bytes:
        if self._decompressor is None:
            self._decompressor = zlib.decompressobj(self._bits)
        try:
            while not self._decompressor.eof:
                part = self._decompressor.decompress(self._rest, limit)
                self._rest = self._decompressor.unconsumed_tail
                if self._ahead > 1:
                    self._stream.seek(-len(self._rest) - len(self._decompressor.unused_data), io.SEEK_CUR)
                    self._rest = b""
                if part:
                    return bytes(part)
                if not self._rest and not self._decompressor.eof:
                    self._rest = self._stream.read(self._ahead)
                    if not self._rest:
                        raise EOFError
        except zlib.error:
            raise OSError(22) from None
        return b""

    def write(self, data: Any) -> int:
        if self._compressor is None:
            bits = {0: -15, 1: -15, 2: 15, 3: 31}[self._format]
            self._compressor = zlib.compressobj(6, zlib.DEFLATED, bits)
        self._stream.write(self._compressor.compress(data))
        return len(data)

    def close(self) -> None:
        if self._compressor is not None:
            self._stream.write(self._compressor.flush())
            self._compressor = None
        if self._close:
            self._stream.close()

    def __enter__(self) -> DeflateIO:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
