"""What a board doesn't take, however well it is signed: older security, expired, a revoked key; how keys change."""

from __future__ import annotations

import pytest

from lives.kit import FOR_HOURS, Change
from lives.secure import ASKS_SOON, another_key, offered
from release_support import write_test_key

LONG_AGO = "2024-02-01T00:00:00Z"
FAR_OFF = "2099-01-01T00:00:00Z"
# Starts as it should, and never proves itself: its trial runs out.
NEVER_WELL: Change = (
    ("thermometer/app.py", "return health.missing()", 'return "what never comes"'),
    (
        "thermometer/station/station.py",
        "_TRIAL_MS = 10 * 60_000",
        "_TRIAL_MS = 30_000",
    ),  # no longer than it takes to see that
)
SLOTS = ("ota_0", "ota_1", "otadata")


def refused(life, reason):
    """Follow the board until it has refused what is published, and see that it wrote nothing for it."""
    before = len(life.board.operations)
    life.says("update", "to ")
    life.says("wait", reason)
    written = [operation for operation in life.board.operations[before:] if operation.partition in SLOTS]
    assert written == [], "not a byte is erased for a release that is refused"


def updated(life, version):
    """Follow the board until it runs this version for good and the server knows."""
    life.says("slot", f"{version}, on trial")
    life.says("trial", "passed")
    life.says("confirm", "confirmed on the server")
    life.says("version", f"up to date: {version}")


@pytest.fixture
def hardened(company, new_life):
    """A board that was made with security version 1 and has been brought to 2; what it was made with."""
    first = offered(company)
    life = new_life().made(first)
    life.boots()
    life.says("version", "up to date: 1.0.0")
    offered(company, "2.0.0", security=2)
    updated(life, "2.0.0")
    return life, first


def test_a_signed_release_of_an_older_security_version_is_refused_after_a_reset_and_without_nvs_too(company, hardened):
    life, _ = hardened
    offered(company, "1.5.0", security=1)
    refused(life, "security version 1, older than 2")
    life.off()
    life.boots()
    refused(life, "security version 1, older than 2")
    life.off()
    life.write("nvs", b"\xff" * 0x4000)
    life.knows_networks(("workshop", "thermometer"))
    life.boots()
    life.says("activate", "done")
    refused(life, "security version 1, older than 2")
    offered(company, "2.1.0", security=2)
    updated(life, "2.1.0")


@FOR_HOURS
def test_a_release_that_was_left_again_raises_no_floor(company, new_life):
    life = new_life().made(offered(company))
    life.boots()
    life.says("version", "up to date: 1.0.0")
    offered(company, "2.0.0", NEVER_WELL, security=2)
    life.says("rollback", "2.0.0")
    offered(company, "1.5.0", security=1)
    updated(life, "1.5.0")


@FOR_HOURS
def test_a_whole_image_of_an_older_release_written_by_usb_still_makes_a_board_that_works(company, hardened):
    life, first = hardened
    life.off()
    life.made(first)
    company.slips_in("1.0.1", first.read_bytes())
    life.boots()
    life.says("slot", "ota_0 runs release 1.0.0")
    life.says("activate", "done")
    life.says("version", "up to date: 1.0.1")
    life.measures(2)


@FOR_HOURS
def test_an_older_release_written_by_usb_into_a_slot_boots_and_the_floor_stays(company, hardened):
    life, first = hardened
    life.off()
    fresh = life.company.foundry.flash(first)
    life.write("ota_0", fresh[0x10000 : 0x10000 + 0x1D0000])
    life.write("otadata", b"\xff" * 0x2000)
    offered(company, "1.5.0", security=1)
    life.boots()
    life.says("slot", "ota_0 runs release 1.0.0")
    refused(life, "security version 1, older than 2")
    offered(company, "2.1.0", security=2)
    updated(life, "2.1.0")


def test_an_expired_release_is_refused(company, new_life):
    life = new_life().made(offered(company))
    life.boots()
    life.says("version", "up to date: 1.0.0")
    offered(company, "2.0.0", expires=LONG_AGO)
    refused(life, f"has expired \\({LONG_AGO}\\)")


def test_a_release_that_may_expire_waits_until_the_time_is_known(company, new_life):
    life = new_life().made(offered(company, change=ASKS_SOON))
    life.world.update(ntp="off")
    life.boots()
    life.says("version", "up to date: 1.0.0")
    offered(company, "2.0.0", expires=FAR_OFF)
    refused(life, "may have expired, and this board doesn't know the time yet")
    life.world.update(ntp="ok")
    life.says("clock", "set by")
    updated(life, "2.0.0")


@pytest.mark.whole
def test_keys_are_changed_by_updates_and_a_revoked_one_is_never_believed_again(company, new_life, tmp_path):
    old, new = write_test_key(tmp_path)[0], another_key(tmp_path)
    life = new_life().made(offered(company))
    life.boots()
    life.says("version", "up to date: 1.0.0")
    offered(company, "1.9.0", key=new, trusts=(new,))
    refused(life, "signed with a key that isn't trusted here")
    offered(company, "2.0.0", trusts=(old, new))  # both keys overlap
    updated(life, "2.0.0")
    offered(company, "3.0.0", key=new, trusts=(new,), revokes=(old,))
    updated(life, "3.0.0")
    offered(company, "3.1.0", trusts=(old, new))  # the thief's
    refused(life, "signed with a key that isn't trusted here")
    offered(company, "4.0.0", key=new, trusts=(old, new))  # lists it again, by mistake
    updated(life, "4.0.0")
    offered(company, "4.1.0", trusts=(old, new))
    refused(life, "signed with a key that isn't trusted here")
    life.off()
    life.boots()
    refused(life, "signed with a key that isn't trusted here")
    offered(company, "5.0.0", key=new, trusts=(new,))
    updated(life, "5.0.0")


@pytest.mark.whole
@FOR_HOURS
def test_a_key_that_an_unproved_release_revokes_is_still_believed(company, new_life, tmp_path):
    old, new = write_test_key(tmp_path)[0], another_key(tmp_path)
    life = new_life().made(offered(company, trusts=(old, new)))
    life.boots()
    life.says("version", "up to date: 1.0.0")
    offered(company, "2.0.0", NEVER_WELL, key=new, trusts=(new,), revokes=(old,))
    life.says("rollback", "2.0.0")
    offered(company, "2.0.1")
    updated(life, "2.0.1")
