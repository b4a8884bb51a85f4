"""What the benchmark found, for a person and as JSON, and whether it meets the targets. Measures nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from thermokeeper.bench.measures import Boot, HeapNeed, Race, Spread

RATIO_LIMIT = 1.25
HEAP_LIMIT_BYTES = 48 << 10
# The peak is exact; the smallest heap also depends on where free pieces happen to lie.
PEAK_SPREAD_BYTES = 1 << 10
LEAST_SPREAD_BYTES = 6 << 10

_NAMES = {"raw": "raw (.bin)", "json": "base64 in JSON"}


@dataclass(frozen=True)
class Target:
    """A claim and what was found. `met` decides the exit status."""

    claim: str
    found: str
    met: bool


@dataclass(frozen=True)
class Results:
    """All of one run. `chip`: with a chip's flash times; `host`: with none."""

    chip: Race
    host: Race
    heap: Sequence[HeapNeed]
    boot: Boot

    def targets(self) -> Iterator[Target]:
        """Each target, met or not."""
        for form, ratio in self.chip.ratio.items():
            claim = f"at most {RATIO_LIMIT} times a bare copy (chip's flash), {_NAMES[form]}"
            yield Target(claim, f"{ratio.middle:.3f}", ratio.middle <= RATIO_LIMIT)
        most = max(max(need.least_bytes, need.peak_bytes) for need in self.heap)
        yield Target(f"less than {HEAP_LIMIT_BYTES >> 10} KiB of heap", _kib(most), most < HEAP_LIMIT_BYTES)
        for form, name in _NAMES.items():
            needs = [need for need in self.heap if need.form == form]
            peak = _range([need.peak_bytes for need in needs])
            least = _range([need.least_bytes for need in needs])
            yield Target(
                f"the same heap for any size, {name}",
                f"differs by {_kib(least)}, its peak by {_kib(peak)}",
                peak <= PEAK_SPREAD_BYTES and least <= LEAST_SPREAD_BYTES,
            )

    def as_json(self) -> dict[str, Any]:
        """Everything that was measured, and the targets."""
        return {**asdict(self), "targets": [asdict(target) for target in self.targets()]}


def show(results: Results, console: Console) -> None:
    """Print tables, then the targets."""
    size = f"{results.chip.release_bytes / 1e6:.2f} MB"
    _show_race(results.chip, f"Installing {size}, flash as slow as a chip's", console)
    console.print(
        "  flash times are a chip's, but hashing, base64 and Python run at this machine's speed, not the chip's"
    )
    _show_race(results.host, f"Installing {size}, flash that takes no time", console)
    parts = results.host.parts_s
    console.print(
        f"  alone: one pass of SHA-256 {parts['hash'] * 1000:.0f} ms, reading the slot {parts['read'] * 1000:.0f} ms, "
        f"base64 {parts['base64'] * 1000:.0f} ms; no target",
        highlight=False,
    )
    table = _table("Heap of an installation (64-bit MicroPython)", "release", "smallest heap", "peak in use")
    for need in results.heap:
        table.add_row(_NAMES[need.form], f"{need.release_bytes:,} bytes", _kib(need.least_bytes), _kib(need.peak_bytes))
    console.print(table)
    table = _table("Power on to the first reading", "min", "median", "max", "heap")
    table.add_row("the simulated board", *_spread(results.boot.seconds, "{:.2f} s"), _kib(results.boot.heap_bytes))
    console.print(table)
    table = _table("Targets", "found", "")
    for target in results.targets():
        table.add_row(target.claim, target.found, "met" if target.met else "MISSED")
    console.print(table)


def _show_race(race: Race, title: str, console: Console) -> None:
    table = _table(title, "min", "median", "max", "ratio: min", "median", "max")
    table.add_row("bare copy, socket to slot", *_spread(race.bare_s, "{:.2f} s"), "", "1", "")
    for form, seconds in race.install_s.items():
        table.add_row(_NAMES[form], *_spread(seconds, "{:.2f} s"), *_spread(race.ratio[form], "{:.3f}"))
    console.print(table)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    table.add_column("", min_width=26)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _spread(spread: Spread, form: str) -> list[str]:
    return [form.format(value) for value in (spread.least, spread.middle, spread.most)]


def _kib(size: int) -> str:
    return f"{size / 1024:.1f} KiB"


def _range(values: list[int]) -> int:
    return max(values) - min(values)
