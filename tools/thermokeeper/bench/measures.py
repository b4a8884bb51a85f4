"""The measurements: how long an installation takes beside a bare copy, the heap it needs, and what a boot takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from thermokeeper.bench.workbench import HEAP_KIB, RELEASES, FlashTimes, Run, Workbench
from thermokeeper.errors import ToolError

FORMS = ("raw", "json")
_FIRST_READING = "tk: reading: "


@dataclass(frozen=True)
class Spread:
    """Some measurements of one thing."""

    values: tuple[float, ...]

    @property
    def least(self) -> float:
        return min(self.values)

    @property
    def middle(self) -> float:
        return median(self.values)

    @property
    def most(self) -> float:
        return max(self.values)


@dataclass(frozen=True)
class Race:
    """Installations beside bare copies that were made in turn with them; seconds."""

    release_bytes: int
    bare_s: Spread
    install_s: dict[str, Spread]  # by form
    ratio: dict[str, Spread]  # of each installation to the bare copy of its round
    parts_s: dict[str, float]  # what some parts of the work take alone: hash, read, base64


@dataclass(frozen=True)
class HeapNeed:
    """What one installation needs of the heap, by the two ways of measuring it."""

    release_bytes: int
    form: str
    least_bytes: int  # smallest heap in which it succeeds, less the smallest for all else that the program does
    peak_bytes: int  # most in use at any pulse, less what was in use before


@dataclass(frozen=True)
class Boot:
    """From power on to the first reading."""

    seconds: Spread
    heap_bytes: int  # smallest heap in which it comes, less the smallest for a main.py that does nothing


def race(bench: Workbench, repetitions: int, flash_ms: FlashTimes) -> Race:
    """Bare copy, raw installation and one from JSON, in turn, in one run of one board."""
    run = _finished(bench.run("race", flash_ms=flash_ms, repetitions=repetitions))
    bare = run.numbers["bare_us"]
    return Race(
        release_bytes=_size(bench, "stock"),
        bare_s=_seconds(bare),
        install_s={form: _seconds(run.numbers[f"{form}_us"]) for form in FORMS},
        ratio={
            form: Spread(tuple(mine / its for mine, its in zip(run.numbers[f"{form}_us"], bare, strict=True)))
            for form in FORMS
        },
        parts_s={part: run.numbers[f"{part}_us"][0] / 1e6 for part in ("hash", "read", "base64")},
    )


def heap_needs(bench: Workbench) -> list[HeapNeed]:
    """For each release and form."""
    idle_kib = smallest(lambda kib: bench.run("idle", heap_kib=kib).done, 128)
    needs = []
    guess_kib = idle_kib + 24
    for form in FORMS:
        raw = form == "raw"
        for release in RELEASES:
            peak = _finished(bench.run("peak", release, raw=raw)).numbers["peak"][0]
            guess_kib = smallest(_installs(bench, release, raw), guess_kib)
            needs.append(HeapNeed(_size(bench, release), form, (guess_kib - idle_kib) << 10, peak))
    return needs


def boot(bench: Workbench, repetitions: int) -> Boot:
    """The real boot.py and main.py."""
    runs = [_finished(bench.run_files({}, _FIRST_READING)) for _ in range(repetitions)]
    empty = {"main.py": b"print('bench: done 1')"}
    idle_kib = smallest(lambda kib: bench.run_files(empty, "bench: done", kib).done, 64)
    need_kib = smallest(lambda kib: bench.run_files({}, _FIRST_READING, kib).done, 128)
    return Boot(Spread(tuple(run.done_s or 0.0 for run in runs)), (need_kib - idle_kib) << 10)


def smallest(succeeds: Callable[[int], bool], guess: int, most: int = HEAP_KIB, least: int = 1) -> int:
    """The smallest number from which on it succeeds; quick when the guess is near. It must succeed at `most`."""
    low, high = least - 1, most  # fails at low (or isn't allowed), succeeds at high
    step = 1
    at = guess
    while low < at < high:
        if succeeds(at):
            high = at
            at -= step
        else:
            low = at
            at += step
        step *= 2
    while high - low > 1:
        at = (low + high) // 2
        if succeeds(at):
            high = at
        else:
            low = at
    return high


def _installs(bench: Workbench, release: str, raw: bool) -> Callable[[int], bool]:
    return lambda kib: bench.run("install", release, heap_kib=kib, raw=raw).done


def _size(bench: Workbench, release: str) -> int:
    return int(bench.releases[release].manifest.file_size)


def _seconds(microseconds: list[int]) -> Spread:
    return Spread(tuple(value / 1e6 for value in microseconds))


def _finished(run: Run) -> Run:
    if not run.done:
        raise ToolError(f"the measuring board did not finish; its last line: {run.last_line}")
    return run
