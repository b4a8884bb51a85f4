"""A release on trial: what fails goes back to what worked, and isn't tried again and again."""

import pytest

from lives.kit import (
    CALLS_NO_SERVER,
    CRASHES,
    EXITS,
    FOR_HOURS,
    HANGS,
    HANGS_AT_IMPORT,
    SEES_NO_SENSOR,
    quicker,
)


def ready(life):
    """The board runs 1.0.0, confirmed."""
    life.boots()
    life.says("version", "up to date: 1.0.0")


def is_back_and_takes_another(life, failed):
    """The board is back on 1.0.0, leaves the failed version alone, and takes the next."""
    life.says("slot", "ota_0 runs release 1.0.0, valid")
    life.says("rollback", f"release {failed} didn't prove itself")
    life.says("version", f"{failed} failed on this board")
    life.front.forget()
    life.measures(3)
    assert not life.front.asked("GET /v1/versions/"), "it isn't fetched again"
    assert life.version == "1.0.0"
    life.publish("3.0.0")
    life.says("confirm", life.company.versions["3.0.0"].id)
    assert (life.version, life.board.slot) == ("3.0.0", "ota_1")


@pytest.mark.parametrize("fault", [CRASHES, EXITS], ids=["an error", "sys.exit"])
def test_a_release_that_ends_at_its_start_is_left(life, fault):
    ready(life)
    life.publish("2.0.0", fault)
    life.says("reset", "2.0.0")
    life.says("main", "the application ended")
    is_back_and_takes_another(life, "2.0.0")


def test_a_release_that_hangs_is_left_by_the_watchdog(life):
    ready(life)
    life.publish("2.0.0", HANGS + quicker(life.runtime, watchdog=6000))
    life.says("reset", "2.0.0")
    life.suffers("watchdog")
    is_back_and_takes_another(life, "2.0.0")


@FOR_HOURS
def test_a_release_that_hangs_while_it_is_imported_is_left_by_the_watchdog(life):
    ready(life)
    life.publish("2.0.0", HANGS_AT_IMPORT)
    life.says("reset", "2.0.0")
    life.suffers("watchdog")
    is_back_and_takes_another(life, "2.0.0")


@pytest.mark.parametrize("fault", [SEES_NO_SENSOR, CALLS_NO_SERVER], ids=["no temperature", "no server"])
def test_a_release_that_never_gets_healthy_is_left(life, fault):
    ready(life)
    life.publish("2.0.0", fault + quicker(life.runtime, watchdog=6000, trial=8000))
    life.says("slot", "2.0.0, on trial")
    life.suffers("watchdog")
    assert not [line for line in life.said("trial") if "passed" in line]
    life.says("slot", "ota_0 runs release 1.0.0, valid")
    life.says("rollback", "release 2.0.0 didn't prove itself")
    life.says("version", "2.0.0 failed on this board")
    assert life.version == "1.0.0"


def test_a_power_cut_during_the_trial_ends_it(life):
    ready(life)
    life.publish("2.0.0")
    life.says("slot", "2.0.0, on trial")
    life.off()
    life.boots()
    life.says("slot", "ota_0 runs release 1.0.0, valid")
    life.says("rollback", "2.0.0")
    life.says("version", "2.0.0 failed on this board")


@pytest.mark.whole
@FOR_HOURS
def test_a_good_release_that_met_a_dead_server_gets_another_chance_after_an_hour(life):
    ready(life)
    life.publish("2.0.0")
    life.says("reset", "2.0.0")
    life.front.down()
    life.says("slot", "2.0.0, on trial")
    life.suffers("watchdog")
    life.says("rollback", "2.0.0")
    life.front.up()
    life.says("version", "2.0.0 failed on this board")
    rolled_back = len(life.said("reading"))
    life.says("update", "to 2.0.0")
    assert 3000 < (len(life.said("reading")) - rolled_back) * life.runtime.period_s < 5500
    life.says("confirm", life.company.versions["2.0.0"].id)
    assert life.version == "2.0.0"


@FOR_HOURS
def test_a_release_that_fails_each_time_is_tried_three_times_and_then_never_again(company, new_life):
    hours = (("keeper/remembering/ledger.py", "(3_600_000, 6 * 3_600_000)", "(600_000, 1_200_000)"),)
    company.publish("1.0.0", hours)
    life = new_life().made(company.foundry.release("1.0.0", True, hours))
    ready(life)
    life.publish("2.0.0", HANGS)
    for _ in range(3):
        life.says("rollback", "2.0.0")
    life.front.forget()
    life.measures(2 * 60)
    assert not life.front.asked("GET /v1/versions/")
    assert life.happened("watchdog") == 3
