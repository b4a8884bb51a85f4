"""The power goes in the middle of an update; the campaign over every operation is in tests/campaigns/power."""

import random

import pytest

from lives.kit import SIZE

SEED = 1
KINDS = ("before", "middle", "after")


@pytest.mark.whole
def test_an_update_that_the_power_interrupts_is_finished_after_it_is_back(life):
    """Several updates in one life, each cut at another place; a torn flash sector is random, but of the seed."""
    life.boots()
    life.says("version", "up to date: 1.0.0")
    start = len(life.board.operations)
    life.publish("2.0.0")
    life.suffers("reset")
    operations = len(life.board.operations) - start
    life.says("version", "up to date: 2.0.0")
    assert operations > 60
    chance = random.Random(SEED)
    for round_ in range(3):
        version = f"{round_ + 3}.0.0"
        # One cut among the blocks of the application, one among those of the files, one where slots are switched.
        place = (0.1, 0.5, 0.8)[round_] + chance.random() * 0.1
        life.off()
        life.world.cut(len(life.board.operations) + int(operations * place), KINDS[round_], SEED)
        life.publish(version, size=2 * SIZE + 16 * round_)
        life.boots()
        life.suffers("cut")
        life.suffers("boot")
        life.says("version", f"up to date: {version}")
        assert life.version == version
    assert life.thing.activation_count == 1
    life.off()
    assert life.stored("release")["id"] == life.company.versions[version].id


@pytest.mark.whole
def test_the_power_goes_while_a_download_is_under_way_and_while_nothing_happens(life):
    life.boots()
    life.says("version", "up to date: 1.0.0")
    life.off()
    life.publish("2.0.0")
    life.boots()
    life.says("download", "^30%")
    life.off()
    before = life.read("ota_0")
    life.boots()
    life.says("slot", "ota_0 runs release 1.0.0, valid")
    life.says("version", "up to date: 2.0.0")
    assert life.read("ota_0") == before, "the slot that ran was never touched"
    assert not life.said("rollback")
