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
from power.campaign import NOTHING, Campaign, Outcome
from power.guards import GUARDS, Guard
from power.life import MOMENTS, STAGES, Cut, Verdict

pytestmark = pytest.mark.timeout(1800)  # of the whole campaign: the first test may wait for all that is before it

MICROPYTHON_LIVES = 12
_PAIRS, _LOSSES = 60, 20
_FINDING, _HIDDEN = 120, 16  # lives without a guard, at most: until one finds it, or to show that none does
_SHOWN = 5
_STAGE_IDS = [stage.name.replace(",", "").replace(" ", "-") for stage in STAGES]


class Plan:
    """All lives, under way."""

    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign
        story = campaign.story
        self.micropython = campaign.on_micropython(MICROPYTHON_LIVES)
        self.alike = campaign.compare()
        self.cuts = {
            (stage, moment): self._share([cut for cut in work.different_cuts(story, stage) if cut.moment == moment])
            for stage in range(len(STAGES))
            for moment in MOMENTS
        }
        self.pairs = self._share(work.pairs(story, _PAIRS))
        self.losses = self._share(work.losses(story, _LOSSES))
        self.guards = {
            guard.name: campaign.without(guard, _FINDING if guard.found else _HIDDEN, True) for guard in GUARDS
        }

    def _share(self, cuts: Sequence[Cut]) -> list[Future[Outcome]]:
        return [self.campaign.live(some) for some in work.chunks(cuts)]


@pytest.fixture(scope="module")
def plan() -> Iterator[Plan]:
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("COVERAGE_"):  # thousands of lives show no line that the scenarios don't
                patch.delenv(name)
        with Campaign() as campaign:
            yield Plan(campaign)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("stage", range(len(STAGES)), ids=_STAGE_IDS)
def test_a_cut_at_any_operation_ends_as_the_uncut_life_does(plan: Plan, stage: int, moment: str) -> None:
    lives = _all_well(plan.cuts[stage, moment])
    operations = plan.campaign.story.of_stage(stage)
    if moment == "before":
        # The life that this would be is lived as a cut after the operation before it.
        operations = [one for one in operations if not plan.campaign.story.is_next_to(one)]
    assert lives == len(operations)


def test_two_cuts_in_one_life_end_as_the_uncut_life_does(plan: Plan) -> None:
    _all_well(plan.pairs)


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


def test_the_double_of_the_service_makes_the_same_life_as_the_real_one(plan: Plan) -> None:
    double, real = plan.alike.result()
    assert double == real


def test_a_sample_of_cuts_on_micropython_ends_as_the_uncut_life_does(plan: Plan) -> None:
    outcome = plan.micropython.result()
    assert not outcome.failed, _report(outcome.failed)
    assert outcome.cuts == MICROPYTHON_LIVES


def _all_well(parts: Sequence[Future[Outcome]]) -> int:
    outcomes = [part.result() for part in parts]
    failed = [verdict for outcome in outcomes for verdict in outcome.failed]
    assert not failed, _report(failed)
    return sum(outcome.lives for outcome in outcomes)


def _report(failed: Sequence[Verdict], without: str = NOTHING) -> str:
    lines = [f"{len(failed)} lives failed"]
    for verdict in failed[:_SHOWN]:
        lines += [verdict.operation, *(f"  {fault}" for fault in verdict.faults)]
        lines.append(f"  {work.reproduce(str(verdict.cut), without)}")
    return "\n".join(lines)
