"""A part of a release in the encoding "blocks": what of it the running slot has, wherever it lies there, isn't fetched.

Its stored form begins with an index, for each block of 4 KiB the first 4 bytes of its SHA-256 and u16 LE the length of
its chunk; the chunks follow, as `keeper.inflating` has them but without a length of their own. docs/release-format.md.
Two blocks may have the same 4 bytes: what comes of that shows in the hash of the part. It knows no network.
"""

import gc
from hashlib import sha256

from keeper.board.layout import BLOCK_SIZE
from keeper.errors import ReleaseError
from keeper.inflating import Chunks

_MARK_SIZE = 4
_ENTRY_SIZE = 6
GAP_SIZE = 8 * 1024  # reading on over less than this costs less than another request


class Blocks(Chunks):
    """at: where the part is in the file. scrap: a memoryview of a block, overwritten. there: (read, offset, size) of
    what may have its blocks, or None. pulse: called for each block that is looked at.

    reused: how many blocks were taken from there.
    """

    def __init__(self, download, part, done, at, scrap, there, pulse):
        count = part.size // BLOCK_SIZE
        index = bytearray(count * _ENTRY_SIZE)
        download.seek(at, scrap, len(index))
        download.fill(memoryview(index))
        number = done // BLOCK_SIZE
        place = at + len(index)
        for i in range(number):
            place += _length(index, i)
        first = place
        largest = 0
        for i in range(number, count):
            length = _length(index, i)
            place += length
            if largest < length < BLOCK_SIZE:
                largest = length
        if place != at + part.stored:
            raise ReleaseError("part %s isn't as long as the manifest says" % part.name)
        super().__init__(download, part, done, first, largest)
        self.reused = 0
        self._index = index
        self._number = number
        self._fetched = 0  # up to here the file is asked for
        self._read, self._offset, size = there or (None, 0, 0)
        self._marks = _marks(self._read, self._offset, size, scrap, pulse)
        gc.collect()

    def _begin(self, scrap):
        number = self._number
        length = _length(self._index, number)
        size = min(BLOCK_SIZE, self._part_left)
        if not 0 < length <= size:
            raise ReleaseError("a compressed part has a chunk of an impossible length")
        self._left = size
        self._taken = length
        self._number = number + 1
        found = self._find(number)
        if found is not None:
            self.reused += 1
            self._stream = _Block(self._read, self._offset + found * BLOCK_SIZE)
            return
        if self.place >= self._fetched:
            self._fetched = self.place + self._wanted(number)
            gc.collect()  # what looking around left, before a request
        self._download.seek(self.place, scrap, self._fetched - self.place)
        if length < size:
            self._open(length, scrap)

    def _find(self, number):
        """Number of the block there that seems to be this one, or None."""
        at = number * _ENTRY_SIZE
        mark = bytes(self._index[at : at + _MARK_SIZE])
        found = self._marks.find(mark)
        while found % _MARK_SIZE and found > 0:
            found = self._marks.find(mark, found + 1)
        return found // _MARK_SIZE if found >= 0 else None

    def _wanted(self, number):
        """How many bytes of the file to ask for from this chunk on, so that few requests bring few bytes too many."""
        wanted = gap = 0
        for i in range(number, len(self._index) // _ENTRY_SIZE):
            gap += _length(self._index, i)
            if self._find(i) is None:
                wanted += gap
                gap = 0
            elif gap > GAP_SIZE:
                break
        return wanted


class _Block:
    """A block of the running slot in the place of an inflating stream."""

    def __init__(self, read, offset):
        self._read = read
        self._offset = offset

    def readinto(self, view):
        self._read(self._offset, view)
        self._offset += len(view)
        return len(view)

    def read(self, size):
        return b""


def _length(index, number):
    """Of a chunk."""
    at = number * _ENTRY_SIZE + _MARK_SIZE
    return index[at] | index[at + 1] << 8


def _marks(read, offset, size, scrap, pulse):
    """The marks of all blocks there, one behind the other."""
    marks = bytearray(size // BLOCK_SIZE * _MARK_SIZE)
    for at in range(0, len(marks), _MARK_SIZE):
        read(offset + at // _MARK_SIZE * BLOCK_SIZE, scrap)
        marks[at : at + _MARK_SIZE] = sha256(scrap).digest()[:_MARK_SIZE]
        pulse()
    return bytes(marks)
