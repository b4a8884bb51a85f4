"""`make power`: the table of the campaign. Or, with --cut, the story of one cut life."""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import Future

from power import campaign as work
from power.campaign import Campaign, Outcome
from power.guards import GUARDS
from power.life import STAGES, Cut

_GUARD_LIVES = 100
_MICROPYTHON_LIVES = 24


def main() -> int:
    """Status 0 if every life came to its end and every guard was worth what it should be."""
    parser = argparse.ArgumentParser(prog="make power ARGS=...", description="The power-cut campaign.")
    parser.add_argument("--cut", help="live one life again: 123/middle/7, or two cuts: 123/middle/7+45/after/8")
    parser.add_argument("--without", default="", metavar="GUARD", help="with this guard taken out")
    parser.add_argument("--guards", type=int, default=_GUARD_LIVES, metavar="N", help="lives for each guard")
    parser.add_argument("--no-micropython", action="store_true", help="leave out the lives on MicroPython")
    options = parser.parse_args()
    guard = work.by_id(options.without) if options.without else None
    with Campaign(1 if options.cut else None) as campaign:
        if options.cut:
            return _one(campaign, Cut.parse(options.cut), guard.name if guard else "")
        return _all(campaign, options.guards, not options.no_micropython)


def _one(campaign: Campaign, cut: Cut, without: str) -> int:
    verdict = campaign.tell(cut, without)
    print(verdict.operation)
    print("\n".join(line for line in verdict.lines if not line.startswith(("tk: reading", "tk: download"))))
    print("\n".join(f"FAULT: {fault}" for fault in verdict.faults) or "as it should be")
    return bool(verdict.faults)


def _all(campaign: Campaign, guard_lives: int, micropython: bool) -> int:
    started_s = time.monotonic()
    story = campaign.story
    rows: list[tuple[str, str, list[Future[Outcome]]]] = []
    for number, stage in enumerate(STAGES):
        cuts = work.every_cut(story, number)
        rows.append((stage.name, str(len(cuts) // 3), [campaign.live(some) for some in work.chunks(cuts)]))
    rows.append(("two cuts in one life", "", [campaign.live(some) for some in work.chunks(work.pairs(story))]))
    rows.append(("a write that flash loses", "", [campaign.live(some) for some in work.chunks(work.losses(story))]))
    if micropython:
        rows.append(("a sample on MicroPython", "", [campaign.on_micropython(_MICROPYTHON_LIVES)]))
    guards = [(guard, campaign.without(guard, guard_lives, False)) for guard in GUARDS]
    print(f"{'the life':<46}{'operations':>11}{'lives':>7}{'cuts':>7}{'failed':>8}")
    total = [0, 0, 0]
    failures = []
    for name, operations, parts in rows:
        outcomes = [part.result() for part in parts]
        failed = [verdict for outcome in outcomes for verdict in outcome.failed]
        failures += failed
        row = [sum(outcome.lives for outcome in outcomes), sum(outcome.cuts for outcome in outcomes), len(failed)]
        total = [one + other for one, other in zip(total, row, strict=True)]
        print(f"{name:<46}{operations:>11}{row[0]:>7}{row[1]:>7}{row[2]:>8}", flush=True)
    print(f"{'in all':<46}{len(story.operations):>11}{total[0]:>7}{total[1]:>7}{total[2]:>8}")
    print(f"{time.monotonic() - started_s:.0f} s\n")
    for verdict in failures[:20]:
        print(f"{verdict.operation}\n  {verdict.faults[0]}\n  {work.reproduce(str(verdict.cut))}")
    wrong = len(failures)
    print(f"{'without the guard':<46}{'lives':>7}{'failed':>8}  the first that finds it")
    for guard, future in guards:
        outcome = future.result()
        if outcome.uncut:
            count, found = "all", outcome.uncut
        else:
            count = str(len(outcome.failed))
            found = (
                f"{outcome.failed[0].cut}: {outcome.failed[0].faults[0]}"
                if outcome.failed
                else f"hidden by: {guard.why}"
            )
        is_right = bool(outcome.failed or outcome.uncut) == guard.found
        wrong += not is_right
        print(
            f"{guard.name:<46}{outcome.lives:>7}{count:>8}  {'' if is_right else 'NOT AS EXPECTED: '}{found}",
            flush=True,
        )
    print(f"{time.monotonic() - started_s:.0f} s in all")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
