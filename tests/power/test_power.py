"""The campaign as tests: each operation of a board's life cut, two cuts, lost writes, guards out, MicroPython.

The lives are shared out to processes when the first test begins; each test waits for its own. One that fails says how
to live it again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future

import pytest

from power import campaign as work
from power import courses
from power.campaign import DMS, NOTHING, Campaign, Outcome
from power.courses import COURSES, GADGETKEEPER
from power.flash import SLOTS, Operation
from power.guards import GUARDS, Guard
from power.life import MOMENTS, Cut, Verdict

pytestmark = pytest.mark.timeout(1800)  # of the whole campaign: the first test may wait for all that is before it

_MICROPYTHON_LIVES = {NOTHING: 12, DMS: 4}
_PAIRS, _DMS_PAIRS, _LOSSES = 60, 15, 20
_FINDING, _HIDDEN = 120, 16  # lives without a guard, at most: until one finds it, or to show that none does
_SHOWN = 5
_SERVICES = [GADGETKEEPER, courses.DMS]
_STAGES = {
    stage.name: (name, number)
    for name, course in ((NOTHING, GADGETKEEPER), (DMS, courses.DMS))
    for number, stage in enumerate(COURSES[course].stages)
}
_IDS = [name.replace(",", "").replace(":", "").replace(" ", "-") for name in _STAGES]


class Plan:
    """All lives, under way."""

    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign
        story = campaign.story
        self.stories = {NOTHING: story, DMS: campaign.dms}
        self.micropython = {name: campaign.on_micropython(lives, name) for name, lives in _MICROPYTHON_LIVES.items()}
        self.alike = {name: campaign.compare(name) for name in (NOTHING, DMS)}
        self.cuts = {
            (name, stage, moment): self._share(
                [
                    cut
                    for cut in work.different_cuts(self.stories[name], stage)
                    if cut.moment == moment and _is_cut(name, self.stories[name].operations[cut.operation])
                ],
                name,
            )
            for name, stage in _STAGES.values()
            for moment in MOMENTS
        }
        self.pairs = {
            NOTHING: self._share(work.pairs(story, _PAIRS)),
            DMS: self._share(work.pairs(campaign.dms, _DMS_PAIRS), DMS),
        }
        self.losses = self._share(work.losses(story, _LOSSES))
        self.guards = {
            guard.name: campaign.without(guard, _FINDING if guard.found else _HIDDEN, True) for guard in GUARDS
        }

    def _share(self, cuts: Sequence[Cut], name: str = NOTHING) -> list[Future[Outcome]]:
        return [self.campaign.live(some, name) for some in work.chunks(cuts)]


def _is_cut(name: str, operation: Operation) -> bool:
    """An installation is the same for both services: of the blocks of the second one's, every eighth has to do."""
    return name != DMS or operation.partition not in SLOTS or operation.number % 8 == 0


@pytest.fixture(scope="module")
def plan() -> Iterator[Plan]:
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("COVERAGE_"):  # thousands of lives show no line that the scenarios don't
                patch.delenv(name)
        with Campaign() as campaign:
            yield Plan(campaign)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("stage", _STAGES.values(), ids=_IDS)
def test_a_cut_at_any_operation_ends_as_the_uncut_life_does(plan: Plan, stage: tuple[str, int], moment: str) -> None:
    name, number = stage
    lives = _all_well(plan.cuts[name, number, moment], name)
    story = plan.stories[name]
    operations = [one for one in story.of_stage(number) if _is_cut(name, one)]
    if moment == "before":
        # The life that this would be is lived as a cut after the operation before it.
        operations = [one for one in operations if not story.is_next_to(one)]
    assert lives == len(operations)


@pytest.mark.parametrize("name", [NOTHING, DMS], ids=_SERVICES)
def test_two_cuts_in_one_life_end_as_the_uncut_life_does(plan: Plan, name: str) -> None:
    _all_well(plan.pairs[name], name)


def test_a_write_that_flash_loses_is_noticed_before_the_release_is_selected(plan: Plan) -> None:
    _all_well(plan.losses)


@pytest.mark.parametrize("guard", [guard for guard in GUARDS if guard.found], ids=lambda guard: guard.id)
def test_without_this_guard_the_campaign_fails(plan: Plan, guard: Guard) -> None:
    outcome = plan.guards[guard.name].result()
    assert outcome.failed or outcome.uncut, f"{outcome.lives} lives, and none shows that it is missing"


@pytest.mark.parametrize("guard", [guard for guard in GUARDS if not guard.found], ids=lambda guard: guard.id)
def test_without_this_guard_another_one_holds(plan: Plan, guard: Guard) -> None:
    outcome = plan.guards[guard.name].result()
    assert not outcome.uncut, outcome.uncut
    assert not outcome.failed, _report(outcome.failed, guard.name)


def test_the_campaign_cuts_as_the_simulator_does(plan: Plan) -> None:
    assert plan.campaign.cuts_that_differ().result() == []


@pytest.mark.parametrize("name", [NOTHING, DMS], ids=_SERVICES)
def test_the_double_of_the_service_makes_the_same_life_as_the_real_one(plan: Plan, name: str) -> None:
    double, real = plan.alike[name].result()
    assert double == real


@pytest.mark.parametrize("name", [NOTHING, DMS], ids=_SERVICES)
def test_a_sample_of_cuts_on_micropython_ends_as_the_uncut_life_does(plan: Plan, name: str) -> None:
    outcome = plan.micropython[name].result()
    assert not outcome.failed, _report(outcome.failed, name)
    assert outcome.cuts == _MICROPYTHON_LIVES[name]


def _all_well(parts: Sequence[Future[Outcome]], name: str = NOTHING) -> int:
    outcomes = [part.result() for part in parts]
    failed = [verdict for outcome in outcomes for verdict in outcome.failed]
    assert not failed, _report(failed, name)
    return sum(outcome.lives for outcome in outcomes)


def _report(failed: Sequence[Verdict], without: str = NOTHING) -> str:
    lines = [f"{len(failed)} lives failed"]
    for verdict in failed[:_SHOWN]:
        lines += [verdict.operation, *(f"  {fault}" for fault in verdict.faults)]
        lines.append(f"  {work.reproduce(str(verdict.cut), without)}")
    return "\n".join(lines)
