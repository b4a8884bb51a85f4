"""A compressed part of a release, as a row of chunks that are inflated one by one.

Each chunk stands for 2 or 4 KiB of the part, by its encoding (the last for what is left): u16 LE length, then so many
bytes of raw deflate with a window of 2 or 1 KiB, or the bytes themselves if the length is that of what they stand for.
So memory is bounded, and a download can go on at any chunk. docs/release-format.md. It knows no slot and no network.
"""

import gc
import io

from keeper.board.layout import CHUNK_SIZES, WINDOW_BITS
from keeper.errors import ReleaseError

_PACKED_LIMIT = 4096  # no chunk stands for more


class Chunks:
    """download: has `fill(view)`. part: `layout.Part`, of which `done` bytes are there. place: of the next chunk.

    largest: no packed chunk has more bytes.
    at_start: whether the next byte begins a chunk, which lies at `place` in the file.
    """

    reused = 0  # what of it wasn't fetched: see `keeper.reusing`

    def __init__(self, download, part, done, place, largest=_PACKED_LIMIT):
        self.place = place
        self._download = download
        self._chunk_size = CHUNK_SIZES[part.encoding]
        self._window_bits = WINDOW_BITS[part.encoding]
        self._part_left = part.size - done
        self._left = 0  # of the chunk in work
        self._length = memoryview(bytearray(2))
        self._packed = _buffer(largest)  # one for all chunks
        self._stream = None

    @property
    def at_start(self):
        return not self._left

    def fill(self, view):
        """Fill the memoryview; ReleaseError if a chunk isn't right."""
        done = 0
        while done < len(view):
            rest = view[done:] if done else view
            if not self._left:
                self._begin(rest)
            if self._left < len(rest):
                rest = rest[: self._left]
            if self._stream is None:
                self._download.fill(rest)
            else:
                self._inflate(rest)
            done += len(rest)
            self._left -= len(rest)
            if not self._left:
                self._end()

    def _begin(self, scrap):
        """Read up to the content of the next chunk, or all of it if it is packed."""
        download = self._download
        size = min(self._chunk_size, self._part_left)
        download.fill(self._length)
        length = self._length[0] | self._length[1] << 8
        if not 0 < length <= size:
            raise ReleaseError("a compressed part has a chunk of an impossible length")
        self._left = size
        self._taken = 2 + length
        if length < size:
            self._open(length, scrap)

    def _open(self, length, scrap):
        import deflate  # only a compressed release needs it

        packed = self._packed
        packed.seek(0)
        while length:
            piece = scrap[:length] if length < len(scrap) else scrap
            self._download.fill(piece)
            packed.write(piece)
            length -= len(piece)
        packed.seek(0)
        gc.collect()  # the window and the tables of the chunk before
        self._stream = deflate.DeflateIO(packed, deflate.RAW, self._window_bits)

    def _inflate(self, view):
        try:
            whole = self._stream.readinto(view) == len(view)
        except (OSError, ValueError, EOFError):
            whole = False
        if not whole:
            raise ReleaseError("a compressed part has a chunk that can't be inflated")

    def _end(self):
        stream, self._stream = self._stream, None
        if stream is not None:
            try:
                more = stream.read(1)
            except (OSError, ValueError, EOFError):
                more = True
            if more:
                raise ReleaseError("a compressed part has a chunk that can't be inflated")
        self._part_left -= min(self._chunk_size, self._part_left)
        self.place += self._taken


def _buffer(size):
    """As large as it will ever be: it would leave pieces behind where it grew."""
    try:
        return io.BytesIO(size)
    except TypeError:  # of CPython, where nobody counts
        return io.BytesIO()
