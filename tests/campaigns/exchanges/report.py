"""Runs a campaign and keeps its outcomes by case; the table that `python -m exchanges` prints of them."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from exchanges.campaign import TURNS, Case, Crew, single_harms, storms, story
from exchanges.harms import HARMS
from exchanges.life import Outcome
from exchanges.worker import GADGETKEEPER

STORMS = 24
STORM_LIKELY = 0.4  # of each exchange to be harmed
STORM_EXCHANGES = 40


@dataclass
class Report:
    """Everything that was lived: the clean life, and (case, outcome) of the others."""

    clean: Outcome
    lived: list[tuple[Case, Outcome]] = field(default_factory=list)
    took_s: float = 0

    @property
    def failed(self) -> list[Outcome]:
        return [outcome for _, outcome in self.lived if outcome.problems]

    def of(self, harm: str) -> list[tuple[int, Outcome]]:
        """(number of the exchange, outcome) of the lives with this one harm."""
        return [
            (case["harms"][0][0], outcome)
            for case, outcome in self.lived
            if [one[1] for one in case.get("harms", ())] == [harm]
        ]

    def complaint(self, most: int = 3) -> str:
        """What failed, the first few with their stories."""
        names = "\n".join(f"{outcome.name}: {'; '.join(outcome.problems)}" for outcome in self.failed)
        return f"{len(self.failed)} lives went wrong:\n{names}\n\n" + "\n\n".join(map(story, self.failed[:most]))


def campaign(
    folder: Path,
    workers: int = 2,
    whole: Iterable[str] = tuple(HARMS),
    storm_count: int = STORMS,
    turns: int = TURNS,
    cloud: str = GADGETKEEPER,
    on_outcome: Callable[[Report], None] = lambda report: None,
) -> Report:
    """All of it on CPython; the folder holds the goods. A harm that isn't in `whole` comes to one of `turns` exchanges.

    cloud: the service.
    """
    began_s = time.monotonic()
    with Crew(folder, workers) as crew:
        ((_, clean),) = crew.live([{"name": "clean", "cloud": cloud}])
        report = Report(clean)
        if clean.problems:
            raise AssertionError("the clean life went wrong: " + story(clean))
        cases = storms(storm_count, STORM_LIKELY, STORM_EXCHANGES) + single_harms(clean, whole, turns)
        for case, outcome in crew.live([{**case, "cloud": cloud} for case in cases]):
            report.lived.append((case, outcome))
            report.took_s = time.monotonic() - began_s
            on_outcome(report)
    return report


def table(report: Report) -> list[str]:
    """The report for a person."""
    counts: dict[str, int] = defaultdict(int)
    for exchange in report.clean.exchanges:
        counts[exchange[0]] += 1
    lines = [
        f"the clean life: {len(report.clean.exchanges)} exchanges, {report.clean.taken} readings,"
        f" {report.clean.lived_ms / 1000:.0f} s of the board's time",
        "  " + ", ".join(f"{count} x {label}" for label, count in counts.items()),
        "",
        f"{'each exchange harmed once':<32}{'lives':>6}{'more activations':>18}{'longest, s':>12}{'wrong':>7}",
    ]
    for harm in HARMS:
        if outcomes := [outcome for _, outcome in report.of(harm)]:
            lines.append(_row(harm, outcomes, report.clean))
    if stormy := [outcome for case, outcome in report.lived if "storm" in case]:
        lines.append(_row(f"storms: {STORM_LIKELY:.0%} of {STORM_EXCHANGES} exchanges", stormy, report.clean))
    lived = [outcome for _, outcome in report.lived]
    lines += ["", _row("all", lived, report.clean), "", f"{len(lived)} lives in {report.took_s:.0f} s"]
    return lines


def _row(name: str, outcomes: list[Outcome], clean: Outcome) -> str:
    activations = max(outcome.activations for outcome in outcomes) - clean.activations
    longest_s = max(outcome.lived_ms for outcome in outcomes) / 1000
    wrong = sum(bool(outcome.problems) for outcome in outcomes)
    return f"{name:<32}{len(outcomes):>6}{activations:>18}{longest_s:>12.0f}{wrong:>7}"
