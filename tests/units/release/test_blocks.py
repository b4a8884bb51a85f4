"""Parts in "blocks": what the host packs it unpacks, and what it says of a download is what a device asks for."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.board.layout import BLOCK_SIZE, REUSING, Part
from keeper.reusing import Blocks
from thermokeeper.errors import ToolError
from thermokeeper.release import compression

NUMBERS = st.lists(st.integers(0, 9), min_size=1, max_size=40)


pytestmark = pytest.mark.usefixtures("deflate")


class Download:
    """A file that can be asked for from anywhere; counts what comes."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at, self.end, self.came = data, 0, 0, 0

    def seek(self, offset: int, scrap: memoryview, size: int) -> None:
        if self.at <= offset < self.end:
            self.came += offset - self.at
        elif offset != self.at or offset >= self.end:
            self.end = offset + size
        self.at = offset

    def fill(self, view: memoryview) -> None:
        view[:] = self.data[self.at : self.at + len(view)]
        self.at += len(view)
        self.came += len(view)
        assert self.at <= self.end


def blocks_of(numbers: list[int]) -> bytes:
    """A block for each number: blank, text that shrinks, and noise that doesn't, in turn."""
    kinds = [
        lambda number: b"\xff" * BLOCK_SIZE,
        lambda number: f"block {number} ".encode().ljust(32) * (BLOCK_SIZE // 32),
        lambda number: random.Random(number).randbytes(BLOCK_SIZE),
    ]
    return b"".join(kinds[number % 3](number) for number in numbers)


@given(NUMBERS, NUMBERS)
def test_a_device_makes_the_part_of_what_is_there_and_of_what_the_host_says_it_fetches(
    new: list[int], old: list[int]
) -> None:
    plain, there = blocks_of(new), blocks_of(old)
    packed = compression.pack(plain, REUSING)
    assert compression.unpack(packed, len(plain), REUSING) == plain

    def read(offset: int, view: memoryview) -> None:
        view[:] = there[offset : offset + len(view)]

    download = Download(packed)
    scrap = memoryview(bytearray(BLOCK_SIZE))
    part = Part("fs", len(plain), b"", REUSING, len(packed))
    source = Blocks(download, part, 0, 0, scrap, (read, 0, len(there)), lambda: None)
    found = b""
    while len(found) < len(plain):
        source.fill(scrap)
        found += bytes(scrap)
    assert found == plain
    assert download.came == compression.fetched_bytes(packed, len(plain), there)


@given(NUMBERS, st.data())
def test_a_damaged_part_is_refused_or_as_good_as_whole(numbers: list[int], data: st.DataObject) -> None:
    plain = blocks_of(numbers)
    packed = bytearray(compression.pack(plain, REUSING))
    at = data.draw(st.integers(0, len(packed) - 1))
    packed[at] ^= data.draw(st.integers(1, 255))
    try:  # a place in the index may become that of another block with the same content
        assert compression.unpack(bytes(packed), len(plain), REUSING) == plain
    except ToolError:
        pass


def test_only_file_systems_that_a_board_has_memory_for_are_stored_so() -> None:
    assert compression.encoding_for("fs", bytes(1 << 20)) == REUSING
    assert compression.encoding_for("fs", bytes((1 << 20) + BLOCK_SIZE)) == compression.ENCODING
    assert compression.encoding_for("app", bytes(BLOCK_SIZE)) == compression.ENCODING
