"""Releases that a board must not run: refused before a byte of the other slot changes, or never selected."""

import pytest

from keeper.release import SIGNATURE_OFFSET
from lives.kit import TABLE
from thermokeeper.release import keys
from thermokeeper.release.builder import manifest_fields, pack_header, sign


def good(life):
    return bytearray(life.company.foundry.release("2.0.0", life.runtime.source).read_bytes())


def unsigned(life, tmp_path):
    data = good(life)
    data[SIGNATURE_OFFSET:4096] = b"\xff" * 384
    return data


def damaged_after_signing(life, tmp_path):
    data = good(life)
    data[SIGNATURE_OFFSET + 100] ^= 1
    return data


def changed_after_signing(life, tmp_path):
    data = good(life)
    return data[:4096].replace(b'"2.0.0"', b'"2.0.9"') + data[4096:]


def signed_by_a_stranger(life, tmp_path):
    keys.generate(tmp_path / "stranger.pem", None)
    return sign(bytes(good(life)), keys.load_private(tmp_path / "stranger.pem", lambda *_: ""))


def signed_by_a_stranger_under_our_name(life, tmp_path):
    data = good(life)
    fields = manifest_fields(bytes(data[:4096]))
    keys.generate(tmp_path / "stranger.pem", None)
    content = pack_header(fields)[:SIGNATURE_OFFSET]
    data[:4096] = content + keys.sign(keys.load_private(tmp_path / "stranger.pem", lambda *_: ""), content)
    return data


def for_another_product(life, tmp_path):
    return life.company.foundry.release("2.0.0", life.runtime.source, product="kettle").read_bytes()


def for_another_chip(life, tmp_path):
    return life.company.foundry.release("2.0.0", life.runtime.source, chip="esp32s3").read_bytes()


def too_large_for_the_slot(life, tmp_path):
    release = life.company.foundry.release("2.0.0", life.runtime.source, size=TABLE["ota_1"].size - 60_000)
    return release.read_bytes()


def no_release_at_all(life, tmp_path):
    return b"<html>come back later</html>" * 400


def a_bare_image(life, tmp_path):
    return good(life)[4096:]


REFUSED = [
    (unsigned, "isn't signed"),
    (damaged_after_signing, "signature is wrong"),
    (changed_after_signing, "signature is wrong"),
    (signed_by_a_stranger, "isn't trusted"),
    (signed_by_a_stranger_under_our_name, "signature is wrong"),
    (for_another_product, "another product: kettle"),
    (for_another_chip, "another chip: esp32s3"),
    (too_large_for_the_slot, "needs a slot of"),
    (no_release_at_all, "is no release"),
    (a_bare_image, "is no release"),
]


def test_what_may_not_run_is_refused_before_a_byte_of_the_other_slot_changes(life, tmp_path):
    life.boots()
    life.says("version", "up to date")
    life.publish("1.5.0")  # so that there is something in the other slot
    life.says("version", "up to date: 1.5.0")
    life.off()
    for number, (make, reason) in enumerate(REFUSED):
        before = life.read("ota_0"), life.read("otadata"), len(life.board.operations)
        (tmp_path / str(number)).mkdir()
        life.company.slips_in(f"2.0.{number}", bytes(make(life, tmp_path / str(number))))
        life.boots()
        life.says("update", f"to 2.0.{number} ")
        life.says("wait", reason)
        assert (life.read("ota_0"), life.read("otadata")) == before[:2], make.__name__
        assert {operation.partition for operation in life.board.operations[before[2] :]} <= {"nvs", "data"}
        life.off()  # else the next one would have to wait
    life.publish("3.0.0")
    life.boots()
    life.says("version", "up to date: 3.0.0")


def test_the_server_is_told_why_a_release_is_refused(life, tmp_path):
    life.boots()
    life.says("version", "up to date")
    refused = life.company.slips_in("2.0.0", bytes(damaged_after_signing(life, tmp_path)))
    life.says("version", "2.0.0 failed on this board: not tried again now")
    (told,) = life.thing.update_failures
    assert (told.version_id, told.version, told.count) == (refused.id, "2.0.0", 1)
    assert told.why == "the release's signature is wrong: it was changed or damaged after signing"
    life.publish("3.0.0")
    life.says("version", "up to date: 3.0.0")


@pytest.mark.parametrize("part", ["app", "fs"])
def test_a_part_with_a_wrong_hash_is_never_selected(life, part):
    life.boots()
    life.says("version", "up to date")
    data = good(life)
    data[4096 + 30_000 if part == "app" else -5000] ^= 0x10
    life.company.slips_in("2.0.0", bytes(data))
    life.says("wait", f"part {part} isn't what the manifest says")
    assert life.board.slot == "ota_0" and not life.happened("reset")
    life.off()
    life.boots()
    life.says("slot", "ota_0 runs release 1.0.0, valid")
    assert not life.said("rollback")
    life.publish("3.0.0")
    life.says("version", "up to date: 3.0.0")
