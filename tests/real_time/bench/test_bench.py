"""The benchmark's judgement, and that its program still runs on a board."""

from dataclasses import replace

import pytest

from thermokeeper.bench.measures import Boot, HeapNeed, Race, Spread, smallest
from thermokeeper.bench.report import Results
from thermokeeper.bench.workbench import workbench

WAYS = ("bare", "raw", "json")
PARTS = ("hash", "read", "base64")


@pytest.mark.parametrize("guess", [1, 40, 99, 100, 101, 130, 200])
def test_the_smallest_heap_is_found_from_any_guess(guess):
    assert smallest(lambda kib: kib >= 100, guess, most=200) == 100


def _race(raw, json):
    ratio = {"raw": Spread(raw), "json": Spread(json)}
    return Race(1_500_000, Spread((1.0,)), ratio, ratio, {"hash": 0.1, "read": 0.1, "base64": 0.1})


SLOW = _race((2.0,), (2.0,))
NEEDS = [HeapNeed(size, form, 30 << 10, 20 << 10) for form in ("raw", "json") for size in (300_000, 1_500_000)]
RESULTS = Results(_race((1.1, 1.2, 9.0), (1.25,)), SLOW, NEEDS, Boot(Spread((1.0,)), 100 << 10))


def _missed(results):
    return [target.claim for target in results.targets() if not target.met]


def test_targets_are_judged_by_the_median_with_a_chip_s_flash():
    assert _missed(RESULTS) == []
    [claim] = _missed(replace(RESULTS, chip=_race((1.1,), (1.2, 1.26, 1.3))))
    assert claim.startswith("at most 1.25") and claim.endswith("JSON")


@pytest.mark.parametrize("field", ["least_bytes", "peak_bytes"])
def test_a_heap_of_48_kib_misses_the_target(field):
    needs = [replace(need, **{field: 48 << 10}) for need in NEEDS]
    assert _missed(replace(RESULTS, heap=needs)) == ["less than 48 KiB of heap"]


@pytest.mark.parametrize(("field", "more"), [("least_bytes", 7 << 10), ("peak_bytes", 2 << 10)])
def test_a_heap_that_grows_with_the_release_misses_the_target(field, more):
    needs = [*NEEDS[:3], replace(NEEDS[3], **{field: getattr(NEEDS[3], field) + more})]
    assert _missed(replace(RESULTS, heap=needs)) == ["the same heap for any size, base64 in JSON"]


def test_the_program_on_the_board_measures_and_a_small_heap_fails(tmp_path):
    with workbench(tmp_path, ["small"]) as bench:
        race = bench.run("race", "small", repetitions=1)
        assert race.done and set(race.numbers) == {f"{name}_us" for name in (*WAYS, *PARTS)} | {"done"}
        assert bench.run("peak", "small", raw=False).numbers["peak"][0] > 4096
        assert not bench.run("install", "small", heap_kib=48, raw=True).done
