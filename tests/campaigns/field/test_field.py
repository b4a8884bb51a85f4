"""Each harm of the field at each state of a life; the end is always a board that measures, reports and can be updated.

Nobody touches the board meanwhile. Weeks offline take minutes of the host's time, and are in tests/lives/test_field.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lives.front import status
from lives.kit import CPYTHON, CRASHES, Company, Foundry, Life

pytestmark = pytest.mark.whole

HOUR_S = 3600
# A board that crashes says only what it measures in trials of its other slot: some twenty an hour.
READINGS_AN_HOUR = 10
PORTAL = b"<html><body>Welcome! Log in to this network.</body></html>" * 200
CRASHES_LATE = (
    (
        "thermometer/app.py",
        "        self._excused = ",
        '        if not self.lifecycle.on_trial:\n            raise ValueError("late")\n        self._excused = ',
    ),
)
LIMIT_S = 280


# states


def new(life: Life) -> None:
    """It is switched on for the first time."""
    life.boots()


def up_to_date(life: Life) -> None:
    life.boots()
    life.says("version", "up to date")


def downloading(life: Life) -> None:
    up_to_date(life)
    life.publish("2.0.0")
    life.says("download", "^40%")


def on_trial(life: Life) -> None:
    up_to_date(life)
    life.publish("2.0.0")
    life.says("slot", "2.0.0, on trial")


def rolled_back(life: Life) -> None:
    up_to_date(life)
    life.publish("2.0.0", CRASHES)
    life.says("rollback", "2.0.0")


def in_safe_mode(life: Life) -> None:
    up_to_date(life)
    life.publish("2.0.0", CRASHES_LATE)
    life.says("slot", "2.0.0, on trial")
    life.says("confirm")
    life.off()
    life.boots()
    life.says("safe", "keeps crashing", within_s=LIMIT_S)


STATES: tuple[Callable[[Life], None], ...] = (new, up_to_date, downloading, on_trial, rolled_back, in_safe_mode)


# harms


def _hours_pass(life: Life, hours: int) -> None:
    before = len(life.said("reading"))
    life.passes(hours * HOUR_S, within_s=LIMIT_S)
    assert len(life.said("reading")) >= before + hours * READINGS_AN_HOUR


def server_away_for_a_day(life: Life) -> None:
    life.front.down()
    _hours_pass(life, 24)
    life.front.up()


def network_away_for_hours(life: Life) -> None:
    life.world.wifi(False)
    _hours_pass(life, 8)
    life.world.wifi(True)


def radio_that_lies(life: Life) -> None:
    """The address is lost and nothing says so; a dead access point of the same name is the stronger one."""
    (network,) = life.world.settings["networks"]
    dead = {**network, "rssi": -20, "bssid": "020000000007", "dead": True}
    life.world.update(networks=[dead, {**network, "no_address": True}])
    _hours_pass(life, 2)
    life.world.update(networks=[dead, network])


def portal(life: Life) -> None:
    rule = life.front.on(".*", status(200, {"Content-Type": "text/html"}, PORTAL))
    _hours_pass(life, 3)
    life.front.off(rule)


def brownouts(life: Life) -> None:
    """At each of the next writes to flash, in the middle of it."""
    for number in range(4):
        life.world.brownout(len(life.board.operations) + 2 * number, "middle", number)
    life.measures(20, within_s=LIMIT_S)


def nvs_gone_at_the_next_start(life: Life) -> None:
    life.off()
    life.write("nvs", b"\xff" * 0x4000)
    life.boots()


def clock_that_is_wrong(life: Life) -> None:
    life.world.update(ntp="past")
    life.off()
    life.boots()
    _hours_pass(life, 2)


HARMS: tuple[Callable[[Life], None], ...] = (
    *(server_away_for_a_day, network_away_for_hours, radio_that_lies, portal),
    *(brownouts, nvs_gone_at_the_next_start, clock_that_is_wrong),
)


@pytest.fixture(scope="module")
def foundry(tmp_path_factory: pytest.TempPathFactory) -> Foundry:
    return Foundry(tmp_path_factory.mktemp("foundry"))


@pytest.fixture
def life(foundry: Foundry, tmp_path: Path) -> Iterator[Life]:
    company = Company(tmp_path, foundry, CPYTHON)
    company.publish("1.0.0")
    life = Life(tmp_path, company).made()
    yield life
    life.off()
    company.close()


# all of them with WHOLE=1; else each harm and each state once
PAIRS = [
    (state, harm)
    for place, harm in enumerate(HARMS)
    for state in (STATES if os.environ.get("WHOLE") else (STATES[(place + 2) % len(STATES)],))
]


@pytest.mark.parametrize(("state", "harm"), PAIRS, ids=lambda it: it.__name__)
def test_a_board_goes_on_by_itself(life: Life, state: Callable[[Life], None], harm: Callable[[Life], None]) -> None:
    state(life)
    harm(life)
    version = life.publish("9.0.0")
    life.says("confirm", version.id, within_s=LIMIT_S)
    assert life.version == "9.0.0"
    delivered = len(life.readings())
    life.measures(2)
    while len(life.readings()) < delivered + 2:
        life.measures(1)
    assert life.thing.activation_count <= 2
