"""The campaign as tests: each operation of a board's life cut, two cuts, lost writes, guards out, MicroPython.

The lives are shared out to processes when the first test begins; each test waits for its own. One that fails says how
to live it again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future

import pytest

from extent import WHOLE
from power import campaign as work
from power.campaign import Campaign, Outcome
from power.courses import COURSES, DMS, GADGETKEEPER
from power.flash import SLOTS, Operation
from power.guards import GUARDS, Guard
from power.life import MOMENTS, Cut, Verdict

pytestmark = [
    pytest.mark.sampled,
    pytest.mark.timeout(1800),  # of the whole campaign: the first test may wait for all that is before it
]

_MICROPYTHON_LIVES = {GADGETKEEPER: 12, DMS: 4} if WHOLE else {GADGETKEEPER: 2, DMS: 0}
_PAIRS = {GADGETKEEPER: 60, DMS: 15} if WHOLE else {GADGETKEEPER: 2, DMS: 1}
_LOSSES = 20 if WHOLE else 2
_FINDING = 120  # lives without a guard, at most, until one finds it
_HIDDEN = 16  # to show that none does
_SHOWN = 5
_STAGES = {stage.name: (course, number) for course in COURSES for number, stage in enumerate(COURSES[course].stages)}
# an update is the same for both services: of the second one, more is in the whole run
WITH_THE_REST_WHOLE = [GADGETKEEPER, pytest.param(DMS, marks=pytest.mark.whole)]
_IDS = [name.replace(",", "").replace(":", "").replace(" ", "-") for name in _STAGES]


class Plan:
    """All lives, under way."""

    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign
        stories = campaign.stories
        self.micropython = {
            course: campaign.on_micropython(course, lives) for course, lives in _MICROPYTHON_LIVES.items() if lives
        }
        self.alike = {course: campaign.compare(course) for course in (COURSES if WHOLE else (GADGETKEEPER,))}
        self.cuts = {
            (course, stage, moment): self._share(
                course,
                [
                    cut
                    for cut in work.different_cuts(stories[course], stage)
                    if cut.moment == moment and _is_cut(course, stories[course].operations[cut.operation], moment)
                ],
            )
            for course, stage in _STAGES.values()
            for moment in MOMENTS
        }
        self.pairs = {
            course: self._share(course, work.pairs(stories[course], count)) for course, count in _PAIRS.items()
        }
        self.losses = self._share(GADGETKEEPER, work.losses(stories[GADGETKEEPER], _LOSSES))
        guards = GUARDS if WHOLE else ()
        self.guards = {
            guard.name: campaign.without(guard, _FINDING if guard.found else _HIDDEN, True) for guard in guards
        }

    def _share(self, course: str, cuts: Sequence[Cut]) -> list[Future[Outcome]]:
        return [self.campaign.live(course, some) for some in work.chunks(cuts)]


def _is_cut(course: str, operation: Operation, moment: str) -> bool:
    """An installation is the same for both services: of the blocks of the second one's, every eighth has to do."""
    if not WHOLE:
        every = (240 if operation.partition in SLOTS else 14) * (2 if course == DMS else 1)
        turn, left = divmod(operation.number, every)
        return left == 0 and turn % len(MOMENTS) == MOMENTS.index(moment)
    return course != DMS or operation.partition not in SLOTS or operation.number % 8 == 0


@pytest.fixture(scope="module")
def plan() -> Iterator[Plan]:
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("COVERAGE_"):  # thousands of lives show no line that the other lives don't
                patch.delenv(name)
        with Campaign() as campaign:
            yield Plan(campaign)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("stage", _STAGES.values(), ids=_IDS)
def test_a_cut_at_any_operation_ends_as_the_uncut_life_does(plan: Plan, stage: tuple[str, int], moment: str) -> None:
    course, number = stage
    lives = _all_well(course, plan.cuts[course, number, moment])
    story = plan.campaign.stories[course]
    operations = [one for one in story.of_stage(number) if _is_cut(course, one, moment)]
    if moment == "before":
        # The life that this would be is lived as a cut after the operation before it.
        operations = [one for one in operations if not story.is_next_to(one)]
    assert lives == len(operations)


@pytest.mark.parametrize("course", COURSES)
def test_two_cuts_in_one_life_end_as_the_uncut_life_does(plan: Plan, course: str) -> None:
    _all_well(course, plan.pairs[course])


def test_a_write_that_flash_loses_is_noticed_before_the_release_is_selected(plan: Plan) -> None:
    _all_well(GADGETKEEPER, plan.losses)


@pytest.mark.whole
@pytest.mark.parametrize("guard", [guard for guard in GUARDS if guard.found], ids=lambda guard: guard.id)
def test_without_this_guard_the_campaign_fails(plan: Plan, guard: Guard) -> None:
    outcome = plan.guards[guard.name].result()
    assert outcome.failed or outcome.uncut, f"{outcome.lives} lives, and none shows that it is missing"


@pytest.mark.whole
@pytest.mark.parametrize("guard", [guard for guard in GUARDS if not guard.found], ids=lambda guard: guard.id)
def test_without_this_guard_another_one_holds(plan: Plan, guard: Guard) -> None:
    outcome = plan.guards[guard.name].result()
    assert not outcome.uncut, outcome.uncut
    assert not outcome.failed, _report(guard.name, outcome.failed)


def test_the_campaign_cuts_as_the_simulator_does(plan: Plan) -> None:
    assert plan.campaign.cuts_that_differ(24 if WHOLE else 4).result() == []


@pytest.mark.parametrize("course", WITH_THE_REST_WHOLE)
def test_the_double_of_the_service_makes_the_same_life_as_the_real_one(plan: Plan, course: str) -> None:
    double, real = plan.alike[course].result()
    assert double == real


@pytest.mark.parametrize("course", WITH_THE_REST_WHOLE)
def test_a_sample_of_cuts_on_micropython_ends_as_the_uncut_life_does(plan: Plan, course: str) -> None:
    outcome = plan.micropython[course].result()
    assert not outcome.failed, _report(course, outcome.failed)
    assert outcome.cuts == _MICROPYTHON_LIVES[course]


def _all_well(course: str, parts: Sequence[Future[Outcome]]) -> int:
    outcomes = [part.result() for part in parts]
    failed = [verdict for outcome in outcomes for verdict in outcome.failed]
    assert not failed, _report(course, failed)
    return sum(outcome.lives for outcome in outcomes)


def _report(name: str, failed: Sequence[Verdict]) -> str:
    lines = [f"{len(failed)} lives failed"]
    for verdict in failed[:_SHOWN]:
        lines += [verdict.operation, *(f"  {fault}" for fault in verdict.faults)]
        lines.append(f"  {work.reproduce(name, verdict.cut)}")
    return "\n".join(lines)
