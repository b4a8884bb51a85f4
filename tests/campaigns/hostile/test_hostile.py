"""Nothing hostile is ever selected, breaks the board, or takes more of its memory than a good update and a little.

arsenal.py makes the cases, victim.py says what a board must never do. A failure names its cases; one of them again:

    HOSTILE_CASE="damage/17" make test ARGS="tests/campaigns/hostile -k micropython"

HOSTILE_TIMES=20 makes the random families twenty times as large.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import pytest
from arsenal import BUDGET, Arsenal
from runner import RUNTIMES, Played

FAMILIES = ("flip", "swap", "length", "manifest", "app", "fs", "packed", "damage", "header", "answer")
ALL = (*FAMILIES, "record", "factory", "boot", "lfs")
HEAP_LIMIT = 200 * 1024  # bytes free in all cases, of small pieces too; a board has about 148 KB of half the need

alone = pytest.mark.skipif("HOSTILE_CASE" in os.environ, reason="one case is played")


@pytest.mark.parametrize(("runtime", "family"), [(runtime, family) for runtime in RUNTIMES for family in ALL])
def test_the_board_meets_every_hostile_case(runtime: str, family: str, played: Mapping[str, Played]) -> None:
    wrong = {name: why for name, why in played[runtime].wrong.items() if name.split("/")[0] in (family, "the start")}
    if wrong:
        lines = [f"{name}: {why}" for name, why in list(wrong.items())[:5]]
        again = f'HOSTILE_CASE="{next(iter(wrong))}" make test ARGS="tests/campaigns/hostile -k {runtime}"'
        pytest.fail(f"{len(wrong)} cases\n" + "\n".join(lines) + f"\none of them again: {again}", pytrace=False)


@alone
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_every_case_was_played(runtime: str, arsenal: Arsenal, played: Mapping[str, Played]) -> None:
    names = [case["name"] for case in arsenal.chosen(runtime)]
    assert len(set(names)) == len(names), "names are for good: there is one for each case"
    assert set(played[runtime].met) | set(played[runtime].wrong) == set(names)
    assert {name.split("/")[0] for name in names} == set(ALL)
    assert {*BUDGET} <= {*ALL}


@alone
def test_every_byte_of_a_header_is_changed_and_of_some_every_bit(arsenal: Arsenal) -> None:
    flips = {tuple(map(int, case["name"][5:].split("."))) for case in arsenal.cases if case["name"][:5] == "flip/"}
    assert {position for position, _ in flips} == set(range(4096))
    assert len([position for position in range(4096) if all((position, bit) in flips for bit in range(8))]) >= 32


@alone
def test_both_runtimes_refuse_the_same(arsenal: Arsenal, played: Mapping[str, Played]) -> None:
    """Which of two reasons comes first may differ where JSON is read less strictly, and where its texts are."""
    cpython, micropython = (
        {name: met.split(":")[0] for name, met in played[runtime].met.items()} for runtime in RUNTIMES
    )
    kinds = {case["name"]: case["kind"] for case in arsenal.cases}
    differ = {
        name: (cpython.get(name), micropython[name])
        for name in micropython
        if kinds[name] == "release" and cpython.get(name) != micropython[name] and name not in LENIENT
    }
    assert not differ


# MicroPython's JSON takes some that isn't quite, CPython's some numbers that are none; what was signed is installed.
LENIENT = {"manifest/overlong utf-8"}


@alone
def test_the_heap_was_no_larger_than_a_good_update_needs_and_a_little(played: Mapping[str, Played]) -> None:
    spare = played["micropython"].heap
    assert set(spare) == {"release", "record", "factory", "boot"}
    assert max(spare.values()) < HEAP_LIMIT, spare
