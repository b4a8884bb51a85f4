"""A compressed part of a release, as a row of chunks that are inflated one by one.

Each chunk stands for 2048 bytes of the part (the last for what is left): u16 LE length, then so many bytes of raw
deflate with a window of 2 KiB, or the bytes themselves if the length is that of what they stand for. So the memory is
bounded, and a download can go on at any chunk. docs/release-format.md. It knows no slot and no network.
"""

import io

from keeper.errors import ReleaseError

CHUNK_SIZE = 2048
_WINDOW_BITS = 11


class Chunks:
    """download: has `fill(view)`."""

    def __init__(self, download):
        self._download = download
        self._length = memoryview(bytearray(2))
        self._packed = memoryview(bytearray(CHUNK_SIZE))
        self._taken = 0

    def fill(self, view):
        """Fill the memoryview, whole chunks long or up to the part's end; ReleaseError if a chunk isn't right."""
        self._taken = 0
        for start in range(0, len(view), CHUNK_SIZE):
            self._fill_one(view[start : start + CHUNK_SIZE])

    def _fill_one(self, view):
        download = self._download
        size = len(view)
        download.fill(self._length)
        length = self._length[0] | self._length[1] << 8
        if not 0 < length <= size:
            raise ReleaseError("a compressed part has a chunk of an impossible length")
        if length == size:
            download.fill(view)
        else:
            packed = self._packed[:length]
            download.fill(packed)
            _inflate(packed, view)
        self._taken += 2 + length

    def taken(self):
        """Bytes of the file that the last `fill` took."""
        return self._taken


def _inflate(packed, view):
    import deflate  # only a compressed release needs it

    try:
        stream = deflate.DeflateIO(io.BytesIO(packed), deflate.RAW, _WINDOW_BITS)
        whole = stream.readinto(view) == len(view) and not stream.read(1)
    except (OSError, ValueError, EOFError):
        whole = False
    if not whole:
        raise ReleaseError("a compressed part has a chunk that can't be inflated")
