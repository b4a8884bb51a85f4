"""A release whose application the board has already: only the rest is downloaded, and what is copied is checked."""

from __future__ import annotations

import re

import pytest

from keeper.release import HEADER_SIZE
from lives.front import status
from lives.kit import FOR_HOURS, MICROPYTHON, TABLE
from lives.secure import made_for, published
from thermokeeper.release.builder import read_release
from thermokeeper.release.compression import fetched_bytes
from thermokeeper.simulator.proxy import CountingProxy

APP_SIZE = 600_000  # of which nothing is to be downloaded
SLACK_BYTES = 40_000  # what else passes: calls and readings


@pytest.fixture
def wire(company):
    """What passes between the board and the front, counted."""
    with CountingProxy(company.front.url) as proxy:
        yield proxy


@pytest.fixture
def first(company):
    """The release that the board has."""
    return published(company, size=APP_SIZE)


@pytest.fixture
def settled(company, new_life, wire, first):
    """A board with a large application that is up to date."""
    life = made_for(new_life(), first, wire.url, size=APP_SIZE, plain_http=True)
    life.boots()
    life.says("version", "up to date: 1.0.0")
    return life


def python_only(company, version, **fields):
    """Publish a release that differs in its Python code only; what is in it."""
    change = (("thermometer/measuring/display.py", '"%.2f C"', f'"%.2f C as {version}"'),)
    return read_release(published(company, version, change, size=APP_SIZE, **fields))


def told_bytes(company, version):
    """What the vendor is told that boards with each earlier version download."""
    return {one.name: one.size for one in company.vendor.version(company.versions[version].id).downloads}


def updated(life, version):
    """Follow the board until it runs this version for good and the server knows."""
    life.says("slot", f"{version}, on trial")
    life.says("trial", "passed")
    life.says("confirm", "confirmed on the server")
    life.says("version", f"up to date: {version}")


def test_a_release_that_changes_python_code_only_costs_its_header_and_file_system(settled, company, wire):
    before = wire.to_device_bytes
    release = python_only(company, "2.0.0")
    wanted = 2 * HEADER_SIZE + release.manifest.fs.stored
    settled.says("reset", "2.0.0")
    passed = wire.to_device_bytes - before
    assert wanted <= passed <= wanted + SLACK_BYTES
    assert told_bytes(company, "2.0.0") == {"1.0.0": wanted}
    asked = [request.headers["range"] for request in settled.front.asked("GET .*/firmware.bin")]
    start, rest, again = (re.fullmatch("bytes=([0-9]+)-([0-9]*)", text) for text in asked)
    assert start and start.groups() == ("0", str(HEADER_SIZE - 1))
    assert rest and rest.groups() == (str(HEADER_SIZE + release.manifest.app.stored), "")
    assert again and again.groups() == start.groups(), "the header once more, now to be written"
    updated(settled, "2.0.0")
    settled.says("reading", "as 2.0.0")


# As text, which CPython needs, the file system is larger than one whose blocks are reused: `layout.REUSING_LIMIT`.
@pytest.mark.parametrize("runtime", [MICROPYTHON], ids=["micropython"], indirect=True)
def test_compressed_it_costs_only_the_blocks_that_the_board_lacks(settled, company, wire, first):
    before = wire.to_device_bytes
    release = python_only(company, "2.0.0", compressed=True)
    fs = release.manifest.fs
    wanted = 2 * HEADER_SIZE + fetched_bytes(release.data[-fs.stored :], fs.size, read_release(first).fs)
    assert wanted < release.manifest.slot_size * 3 // 100, "the goal: 3 % of the whole"
    settled.says("reset", "2.0.0")
    passed = wire.to_device_bytes - before
    assert wanted <= passed <= wanted + SLACK_BYTES
    assert told_bytes(company, "2.0.0") == {"1.0.0": wanted}
    updated(settled, "2.0.0")
    settled.says("reading", "as 2.0.0")


@pytest.mark.parametrize(
    "compressed", [pytest.param(False, marks=pytest.mark.whole), True], ids=["plain", "compressed"]
)
def test_it_works_with_firmware_as_text_in_json_too(settled, company, wire, compressed):
    settled.front.on("GET .*/firmware.bin", status(404))
    python_only(company, "2.0.0", compressed=compressed)
    updated(settled, "2.0.0")
    settled.says("reading", "as 2.0.0")
    assert settled.front.asked("GET .*/firmware.json")


def flip_a_bit(life, label, offset):
    """As a worn flash cell does it: a bit of a partition, nobody told."""
    with life.flash.open("r+b") as file:
        file.seek(TABLE[label].offset + offset)
        byte = file.read(1)[0]
        file.seek(TABLE[label].offset + offset)
        file.write(bytes([byte ^ 0x10]))


def test_an_application_that_went_bad_in_the_running_slot_is_not_passed_on(settled, company, wire):
    flip_a_bit(settled, settled.board.slot, APP_SIZE // 2)
    before = wire.to_device_bytes
    release = python_only(company, "2.0.0")
    settled.says("download", "part app can't be made of the running slot: fetched instead")
    settled.says("reset", "2.0.0")
    assert wire.to_device_bytes - before > release.manifest.file_size
    updated(settled, "2.0.0")


@FOR_HOURS
def test_an_application_that_went_bad_on_its_way_into_the_other_slot_is_not_selected(settled, company):
    settled.world.update(flash={"erase_ms": 0, "program_ms": 3})  # time to get in between
    other = "ota_1" if settled.board.slot == "ota_0" else "ota_0"
    python_only(company, "2.0.0")
    settled.says("download", "70%")
    flip_a_bit(settled, other, APP_SIZE // 2)
    settled.says("wait", "doesn't hold what was written|SHA-256")
    assert settled.board.slot != other and not settled.said("reset")
    settled.world.update(flash={"erase_ms": 0, "program_ms": 0})
    updated(settled, "2.0.0")
