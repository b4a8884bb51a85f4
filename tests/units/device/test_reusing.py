"""A part in the encoding "blocks" comes out whole, and only what the running slot lacks is asked for."""

import struct
from hashlib import sha256

from keeper.board.layout import Part
from keeper.errors import ReleaseError
from keeper.reusing import Blocks
from support import raises

BLOCK = 4096
AT = 5000  # where the part is in its file


def _block(number):
    return struct.pack("<I", number) * (BLOCK // 4)


def _stored(blocks):
    """A part as it is stored, no chunk of it compressed."""
    index = b"".join([sha256(block).digest()[:4] + struct.pack("<H", len(block)) for block in blocks])
    return index + b"".join(blocks)


class _Download:
    """The file; `asked`: [place in the part, how many bytes] of each request, `read`: how many came."""

    def __init__(self, stored):
        self.data = b"\x00" * AT + stored
        self.asked = []
        self.read = 0
        self._at = self._end = 0

    def seek(self, offset, scrap, size=None):
        if self._at != offset or offset >= self._end:
            if self._at <= offset < self._end:
                self.read += offset - self._at
            else:
                self.asked.append([offset - AT, size])
                self._end = offset + size
        self._at = offset

    def fill(self, view):
        assert self._at + len(view) <= self._end, "more is read than was asked for"
        view[:] = self.data[self._at : self._at + len(view)]
        self._at += len(view)
        self.read += len(view)


class _Bring:
    """Brings a part, with these blocks in the running slot, 4096 bytes into it."""

    def __init__(self, blocks, there, done=0, stored=None):
        stored = _stored(blocks) if stored is None else stored
        self.download = _Download(stored)
        self.pulses = 0
        slot = b"\xff" * BLOCK + b"".join(there)

        def read(offset, view):
            view[:] = slot[offset : offset + len(view)]

        part = Part("fs", len(blocks) * BLOCK, b"", "blocks", len(stored))
        scrap = memoryview(bytearray(BLOCK))
        self.source = Blocks(self.download, part, done, AT, scrap, (read, BLOCK, len(there) * BLOCK), self._pulse)
        self.found = b""
        while done < part.size:
            self.source.fill(scrap)
            self.found += bytes(scrap)
            done += BLOCK
        assert self.source.place == AT + len(stored) and self.source.at_start

    def _pulse(self):
        self.pulses += 1


A, B, C, D, E, F = [_block(number) for number in range(6)]
INDEX = 6 * 6


def test_what_is_there_is_taken_from_there_wherever_it_lies():
    bring = _Bring([A, B, C, D, E, F], [F, A, D, B, E])
    assert bring.found == A + B + C + D + E + F
    assert bring.source.reused == 5
    assert bring.download.asked == [[0, INDEX], [INDEX + 2 * BLOCK, BLOCK]]
    assert bring.download.read == INDEX + BLOCK
    assert bring.pulses == 5  # a block that is looked at takes time


def test_nothing_there_means_one_request_for_all():
    for there in ([], [F, F, F]):
        bring = _Bring([A, B, C, D, E], there)
        assert bring.found == A + B + C + D + E
        assert bring.download.asked == [[0, 30], [30, 5 * BLOCK]]


def test_small_gaps_are_read_over_and_large_ones_asked_around():
    bring = _Bring([A, B, C, D, E, F], [B, C])
    assert bring.download.asked == [[0, INDEX], [INDEX, 6 * BLOCK]]
    bring = _Bring([A, B, C, D, E, F], [B, C, D])
    assert bring.found == A + B + C + D + E + F
    assert bring.download.asked == [[0, INDEX], [INDEX, BLOCK], [INDEX + 4 * BLOCK, 2 * BLOCK]]


def test_it_goes_on_where_a_cut_left_it():
    bring = _Bring([A, B, C, D, E, F], [E], done=3 * BLOCK)
    assert bring.found == D + E + F
    assert bring.download.asked == [[0, INDEX], [INDEX + 3 * BLOCK, 3 * BLOCK]]


def test_a_block_with_the_same_mark_as_another_is_taken_for_it():
    # 4 bytes are no proof: that the part isn't right shows in its hash, and then it is fetched whole (test_installer)
    index = sha256(B).digest()[:4] + struct.pack("<H", BLOCK)
    bring = _Bring([A], [B], stored=index + A)
    assert bring.found == B and bring.source.reused == 1


def test_an_index_that_can_t_be_is_refused():
    good = _stored([A, B])
    for stored in (good[:-1], good + b"x", good[:4] + struct.pack("<H", BLOCK - 1) + good[6:]):
        with raises(ReleaseError):
            _Bring([A, B], [], 0, stored)
    for length in (0, BLOCK + 1):
        index = b"abcd" + struct.pack("<H", length)
        with raises(ReleaseError):
            _Bring([A], [], 0, index + bytes(length))
