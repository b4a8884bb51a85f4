"""The flash model against a plain model of NOR flash: random erases and programs, and what a torn one may leave."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support_flash import table_bytes
from thermokeeper.simulator import shimcode

SECTORS = 3
BASE = 0x40000


class Cut(BaseException):
    """The power is gone."""


def new_board(content: bytes, cuts: list[dict[str, Any]]) -> tuple[Any, io.BytesIO]:
    file = io.BytesIO(b"\xff" * 0x8000 + table_bytes().ljust(BASE - 0x8000, b"\xff") + content)

    def end(line: str) -> None:
        raise Cut(line)

    return shimcode.ShimModules()["_sim"].Board(file, lambda line: None, end, lambda: {"cuts": cuts}, "ota_0"), file


PLACES = st.integers(0, SECTORS * 4096 - 1)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("erase"), st.integers(0, SECTORS - 1), st.just(b"")),
        st.tuples(st.just("program"), PLACES, st.binary(min_size=1, max_size=700)),
    ),
    max_size=12,
)


@given(STEPS)
def test_an_erase_sets_a_sector_and_a_program_only_clears_bits(steps: list[tuple[str, int, bytes]]) -> None:
    model = bytearray(b"\xff" * SECTORS * 4096)
    board, file = new_board(bytes(model), [])
    for kind, place, data in steps:
        if kind == "erase":
            board.erase(BASE + place * 4096)
            model[place * 4096 : (place + 1) * 4096] = b"\xff" * 4096
        else:
            data = data[: len(model) - place]
            board.program(BASE + place, data)
            for index, byte in enumerate(data):
                model[place + index] &= byte
    assert file.getvalue()[BASE:] == model
    assert board.operations == len(steps)


@given(st.binary(max_size=300), st.binary(min_size=1, max_size=300), st.integers(0, 2**20))
def test_a_torn_program_is_between_before_and_after(old: bytes, new: bytes, seed: int) -> None:
    old = old.ljust(4096, b"\xff")
    board, file = new_board(old, [{"operation": 0, "moment": "middle", "seed": seed}])
    with pytest.raises(Cut):
        board.program(BASE, new)
    for was, wanted, now in zip(old, new, file.getvalue()[BASE:], strict=False):
        assert now & ~was == 0
        assert now & (was & wanted) == was & wanted


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**20))
def test_a_torn_erase_stays_in_its_sector(seed: int) -> None:
    board, file = new_board(b"\x5a" * 3 * 4096, [{"operation": 0, "moment": "middle", "seed": seed}])
    with pytest.raises(Cut):
        board.erase(BASE + 4096)
    content = file.getvalue()[BASE:]
    assert content[:4096] == content[8192:] == b"\x5a" * 4096
    assert content[4096:8192] != b"\x5a" * 4096
