"""No situation, and no server, wears out a board's flash in less than ten years."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lives.kit import Foundry, Life
from wear.counting import SITUATIONS, bad_bodies, day, normal, years

TEN_YEARS = 10


@pytest.fixture(scope="module")
def foundry(tmp_path_factory: pytest.TempPathFactory) -> Foundry:
    return Foundry(tmp_path_factory.mktemp("foundry"))


# all of them with WHOLE=1, as `make wear` has it
CHOSEN = SITUATIONS if os.environ.get("WHOLE") else (normal, bad_bodies)


@pytest.mark.whole
@pytest.mark.parametrize("situation", CHOSEN, ids=lambda it: it.__name__)
def test_no_day_wears_out_a_sector_before_ten_years(
    situation: Callable[[Life], None], foundry: Foundry, tmp_path: Path
) -> None:
    most, partition, nvs = day(tmp_path, foundry, situation)
    lasts = f"{years(most):.0f}" if most else "-"
    print(f"| {situation.__doc__} | {most} | {partition if most else '-'} | {nvs} | {lasts} |")  # for `make wear`
    assert years(most) > TEN_YEARS, f"{most} erases in {partition}"
    if situation is normal:
        assert most == 0
    if situation is bad_bodies:
        assert most > 0
