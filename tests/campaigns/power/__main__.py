"""`make power`: the table of the campaign. Or, with --cut, the story of one cut life."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future

from power import campaign as work
from power.campaign import Campaign, Outcome
from power.courses import DMS, GADGETKEEPER
from power.guards import GUARDS
from power.life import Cut

_GUARD_LIVES = 100
_MICROPYTHON_LIVES = 24


def main() -> int:
    """Status 0 if every life came to its end and every guard was worth what it should be."""
    parser = argparse.ArgumentParser(prog="make power ARGS=...", description="The power-cut campaign.")
    parser.add_argument("--cut", help="live one life again: 123/middle/7, or two cuts: 123/middle/7+45/after/8")
    parser.add_argument("--dms", action="store_true", help="with --cut: of the life with a DMS")
    parser.add_argument("--without", default="", metavar="GUARD", help="with this guard taken out")
    parser.add_argument("--guards", type=int, default=_GUARD_LIVES, metavar="N", help="lives for each guard")
    parser.add_argument("--no-micropython", action="store_true", help="leave out the lives on MicroPython")
    options = parser.parse_args()
    guard = work.by_id(options.without) if options.without else None
    with Campaign(1 if options.cut else None) as campaign:
        if options.cut:
            name = guard.name if guard else DMS if options.dms else GADGETKEEPER
            return _one(campaign, name, Cut.parse(options.cut))
        return _all(campaign, options.guards, not options.no_micropython)


def _one(campaign: Campaign, name: str, cut: Cut) -> int:
    verdict = campaign.tell(name, cut)
    print(verdict.operation)
    print("\n".join(line for line in verdict.lines if not line.startswith(("tk: reading", "tk: download"))))
    print("\n".join(f"FAULT: {fault}" for fault in verdict.faults) or "as it should be")
    return bool(verdict.faults)


def _all(campaign: Campaign, guard_lives: int, micropython: bool) -> int:
    started_s = time.monotonic()
    stories = campaign.stories
    rows: list[tuple[str, str, list[tuple[str, Future[Outcome]]]]] = []

    def add(course: str, title: str, count: str, lives: Sequence[Cut]) -> None:
        rows.append((title, count, [(course, campaign.live(course, some)) for some in work.chunks(lives)]))

    for course, story in stories.items():
        for number, stage in enumerate(story.stages):
            add(course, stage.name, str(len(story.of_stage(number))), work.every_cut(story, number))
    add(GADGETKEEPER, "two cuts in one life", "", work.pairs(stories[GADGETKEEPER]))
    add(DMS, "DMS: two cuts in one life", "", work.pairs(stories[DMS], work.DMS_PAIRS))
    add(GADGETKEEPER, "a write that flash loses", "", work.losses(stories[GADGETKEEPER]))
    if micropython:
        samples = [(course, campaign.on_micropython(course, _MICROPYTHON_LIVES)) for course in stories]
        rows.append(("samples on MicroPython", "", samples))
    guards = [(guard, campaign.without(guard, guard_lives, False)) for guard in GUARDS]
    print(f"{'the life':<46}{'operations':>11}{'lives':>7}{'cuts':>7}{'failed':>8}")
    total = [0, 0, 0]
    failures = []
    for title, count, parts in rows:
        outcomes = [part.result() for _, part in parts]
        failed = [(course, verdict) for course, part in parts for verdict in part.result().failed]
        failures += failed
        row = [sum(outcome.lives for outcome in outcomes), sum(outcome.cuts for outcome in outcomes), len(failed)]
        total = [one + other for one, other in zip(total, row, strict=True)]
        print(f"{title:<46}{count:>11}{row[0]:>7}{row[1]:>7}{row[2]:>8}", flush=True)
    operations = sum(len(story.operations) for story in stories.values())
    print(f"{'in all':<46}{operations:>11}{total[0]:>7}{total[1]:>7}{total[2]:>8}")
    print(f"{time.monotonic() - started_s:.0f} s\n")
    for course, verdict in failures[:20]:
        print(f"{verdict.operation}\n  {verdict.faults[0]}\n  {work.reproduce(course, verdict.cut)}")
    wrong = len(failures)
    print(f"{'without the guard':<46}{'lives':>7}{'failed':>8}  the first that finds it")
    for guard, future in guards:
        outcome = future.result()
        if outcome.uncut:
            failed_lives, found = "all", outcome.uncut
        else:
            failed_lives = str(len(outcome.failed))
            found = (
                f"{outcome.failed[0].cut}: {outcome.failed[0].faults[0]}"
                if outcome.failed
                else f"hidden by: {guard.why}"
            )
        is_right = bool(outcome.failed or outcome.uncut) == guard.found
        wrong += not is_right
        print(
            f"{guard.name:<46}{outcome.lives:>7}{failed_lives:>8}  {'' if is_right else 'NOT AS EXPECTED: '}{found}",
            flush=True,
        )
    print(f"{time.monotonic() - started_s:.0f} s in all")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
