"""Whether a bootloader rolls back is read from its code: on each kind of chip, in each form of the instructions."""

import struct
from pathlib import Path

import pytest

import images
from thermokeeper.release.bootloader import rolls_back
from thermokeeper.release.firmware import read_firmware
from thermokeeper.release.stock import stock_firmware

CHIPS = {"esp32": 0, "esp32s2": 2, "esp32s3": 9, "esp32c3": 5, "esp32c6": 13, "esp32p4": 18}
VALID, ABORTED = 2, 4


@pytest.mark.parametrize("chip", CHIPS)
def test_the_code_that_ends_a_trial_is_found_or_not(chip: str) -> None:
    def code(*stored: tuple[int, int]) -> bytes:
        return bytes(64) + b"".join(images.store(CHIPS[chip], *one) for one in stored) + bytes(64)

    known, both = (VALID, 24), ((ABORTED, 24), (ABORTED, 56))
    assert rolls_back(images.bootloader(CHIPS[chip]), chip) is True
    assert rolls_back(images.bootloader(CHIPS[chip], rollback=False), chip) is False
    assert rolls_back(code(known, *both), chip) is True
    assert rolls_back(code(known, (ABORTED, 24)), chip) is False  # one constant of 4 on the stack means nothing
    assert rolls_back(code(known, (ABORTED, 24), (ABORTED, 52)), chip) is False
    assert rolls_back(code(known, (ABORTED, 24)) + code((ABORTED, 56)), chip) is False  # far apart: two functions
    assert rolls_back(code(*both), chip) is True
    assert rolls_back(code((ABORTED, 24)), chip) is None
    assert rolls_back(b"", chip) is None and rolls_back(b"\x0c", chip) is None


def test_each_form_of_the_instructions_is_known() -> None:
    between = bytes.fromhex("cd0aad01")  # of other registers
    for load in (bytes([0x0C, 0x48]), bytes([0x82, 0xA0, 4])):
        for near in (bytes([0x89, 0x61]), bytes([0x82, 0x61, 6])):
            assert rolls_back(load + between + near + load + between + bytes([0x82, 0x61, 14]), "esp32") is True
    load = struct.pack("<H", 0x4791)  # c.li a5, 4
    wide = [
        struct.pack("<I", 15 << 20 | 2 << 15 | 2 << 12 | (at & 31) << 7 | (at >> 5) << 25 | 0x23) for at in (24, 56)
    ]
    call = struct.pack("<I", 0x00000097)
    assert rolls_back(load + call + wide[0] + load + call + wide[1], "esp32c3") is True


def test_real_bootloaders_of_before_rollback_are_told_from_what_is_unknown(tmp_path: Path) -> None:
    for path in stock_firmware():
        firmware = read_firmware(path)
        assert firmware.bootloader and rolls_back(firmware.bootloader, "esp32") is False
        assert firmware.rolls_back is False
    (tmp_path / "app.bin").write_bytes(images.application(9000))
    assert read_firmware(tmp_path / "app.bin").rolls_back is None


def test_a_version_that_should_roll_back_makes_missing_code_a_doubt(tmp_path: Path) -> None:
    for version, rollback, expected in (
        ("1.20.0", False, False),
        ("1.21.0", False, None),
        ("1.29.0", False, None),
        ("2.0.0", False, None),
        ("1.18.0", True, True),  # an -OTA variant
    ):
        app = images.application(9000, version=version)
        (tmp_path / "f.bin").write_bytes(images.whole_firmware(app, rollback=rollback))
        assert read_firmware(tmp_path / "f.bin").rolls_back is expected, version
