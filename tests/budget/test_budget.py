"""A board's memory stays within the budget (`thermokeeper.release.budget`), stage by stage, for both services."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import pytest

from budget.counting import count
from thermokeeper.release import budget

KINDS = [
    ("gadgetkeeper", "raw"),
    ("gadgetkeeper", "text"),
    ("gadgetkeeper", "compressed"),
    ("gecko_dms", "raw"),
    ("gecko_dms", "compressed"),
]


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory):
    @functools.cache
    def counted(service: str, update: str) -> dict[str, int]:
        return count(tmp_path_factory.mktemp("budget"), Path(sys.prefix), service=service, update=update)

    return counted


@pytest.mark.parametrize("service", ["gadgetkeeper", "gecko_dms"])
def test_a_board_that_waits_keeps_within_its_budget(counted, service: str) -> None:
    assert budget.MAIN + counted(service, "raw")["idle"] <= budget.IDLE


@pytest.mark.parametrize(("service", "update"), KINDS)
def test_every_stage_of_a_life_keeps_within_its_budget(counted, service: str, update: str) -> None:
    most = {stage: budget.MAIN + size + budget.GARBAGE for stage, size in counted(service, update).items()}
    assert {stage: size for stage, size in most.items() if size > budget.PEAK} == {}


@pytest.mark.parametrize(("service", "update"), KINDS)
def test_nothing_is_left_of_a_stage_that_is_over(counted, service: str, update: str) -> None:
    sizes = counted(service, update)
    left = {stage: size - sizes["idle"] for stage, size in sizes.items() if stage.endswith(" over")}
    # names are never freed, so a stage that is lived for the first time leaves some
    assert {stage: size for stage, size in left.items() if size > 1_000} == {}
