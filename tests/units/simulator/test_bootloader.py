"""Which slot boots, and what the bootloader writes: states of otadata by ESP-IDF with rollback enabled."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from support_flash import TABLE, app_image, make_flash, otadata_entry
from thermokeeper.simulator import bootloader, shimcode

NEW, PENDING, VALID, INVALID, ABORTED = 0, 1, 2, 3, 4


class Cut(BaseException):
    """The power is gone."""


class Flash:
    """A flash file and what the bootloader makes of it."""

    def __init__(self, path: Path, *entries: bytes, apps: tuple[bytes | None, bytes | None] | None = None) -> None:
        one, two = apps if apps else (app_image(), app_image(b"two"))
        parts: list[tuple[str | int, bytes]] = [(0xD000 + 0x1000 * index, entry) for index, entry in enumerate(entries)]
        parts += [(label, app) for label, app in (("ota_0", one), ("ota_1", two)) if app]
        self.path = path
        make_flash(path, tuple(parts))

    def boot(self, **settings: Any) -> bootloader.Selection:
        shim = shimcode.ShimModules()

        def end(line: str) -> None:
            raise Cut(line)

        with self.path.open("r+b", buffering=0) as file:
            board = shim["_sim"].attach(shim["_sim"].Board(file, lambda line: None, end, lambda: settings, ""))
            return bootloader.select(board, shim["_simota"])

    def entries(self) -> list[tuple[int, int]]:
        data = self.path.read_bytes()
        return [
            (struct.unpack_from("<I", data, start)[0], struct.unpack_from("<I", data, start + 24)[0])
            for start in (0xD000, 0xE000)
        ]


BLANK = (0xFFFFFFFF, 0xFFFFFFFF)


def test_the_very_first_boot_writes_sequence_1_valid(flash: Path) -> None:
    board = Flash(flash)
    assert board.boot().label == "ota_0"
    assert board.entries() == [(1, VALID), BLANK]
    assert board.boot().label == "ota_0"


def test_the_very_first_boot_takes_the_other_slot_if_the_first_is_empty(flash: Path) -> None:
    board = Flash(flash, apps=(None, app_image()))
    assert board.boot().label == "ota_1"
    assert board.entries() == [(2, VALID), BLANK]


def test_a_new_slot_gets_one_trial_and_is_left_after_it(flash: Path) -> None:
    board = Flash(flash, otadata_entry(1, VALID), otadata_entry(2, NEW))
    assert board.boot().label == "ota_1"
    assert board.entries() == [(1, VALID), (2, PENDING)]
    assert board.boot().label == "ota_0"
    assert board.entries() == [(1, VALID), (2, ABORTED)]
    assert board.boot().label == "ota_0"
    assert board.entries() == [(1, VALID), (2, ABORTED)]


def test_a_confirmed_slot_stays(flash: Path) -> None:
    board = Flash(flash, otadata_entry(1, VALID), otadata_entry(2, VALID))
    assert [board.boot().label for _ in range(3)] == ["ota_1"] * 3


@pytest.mark.parametrize("state", [INVALID, ABORTED])
def test_given_up_slots_are_skipped(flash: Path, state: int) -> None:
    assert Flash(flash, otadata_entry(3, VALID), otadata_entry(4, state)).boot().label == "ota_0"
    assert Flash(flash, otadata_entry(3, state), otadata_entry(2, VALID)).boot().label == "ota_1"


def test_an_undefined_state_boots_without_a_trial(flash: Path) -> None:
    board = Flash(flash, otadata_entry(2, 0xFFFFFFFF))
    assert board.boot().label == "ota_1"
    assert board.entries()[0] == (2, 0xFFFFFFFF)


def test_a_damaged_selected_application_gives_way_to_the_other(flash: Path) -> None:
    bad = app_image()[:-1] + b"\x00"
    board = Flash(flash, otadata_entry(1, VALID), otadata_entry(2, VALID), apps=(app_image(), bad))
    chosen = board.boot()
    assert chosen.label == "ota_0"
    assert "ota_1 holds no valid application" in chosen.notes
    assert Flash(flash, otadata_entry(1, VALID), apps=(bad, app_image())).boot().label == "ota_1"


def test_two_damaged_applications_are_an_outcome(flash: Path) -> None:
    chosen = Flash(flash, otadata_entry(1, VALID), apps=(None, app_image(chip=9))).boot()
    assert chosen.label is None
    assert "no slot holds a valid application" in chosen.reason


def test_a_wrong_checksum_makes_an_entry_worthless(flash: Path) -> None:
    broken = otadata_entry(2, VALID)[:-1] + b"\x00"
    assert Flash(flash, otadata_entry(1, VALID), broken).boot().label == "ota_0"


def test_otadata_with_nothing_but_damage_tries_every_slot_and_stays_as_it_is(flash: Path) -> None:
    broken = otadata_entry(1, VALID)[:-1] + b"\x00"
    board = Flash(flash, broken)
    assert board.boot().label == "ota_0"
    assert board.entries()[0] == (1, VALID)


@pytest.mark.parametrize("moment", ["before", "middle", "after"])
@pytest.mark.parametrize("operation", [0, 1])
def test_a_cut_in_the_bootloaders_own_writes_never_leaves_the_board_without_a_slot(
    flash: Path, operation: int, moment: str
) -> None:
    for entries in (
        (),
        (otadata_entry(1, VALID), otadata_entry(2, NEW)),
        (otadata_entry(1, VALID), otadata_entry(2, PENDING)),
    ):
        for seed in range(6):
            board = Flash(flash, *entries)
            with pytest.raises(Cut):
                board.boot(cuts=[{"operation": operation, "moment": moment, "seed": seed}])
            assert board.boot().label is not None
            assert board.boot().label == "ota_0"


def test_a_factory_application_boots_while_otadata_is_blank(flash: Path) -> None:
    table = tuple(("app", 0, 0, 0x40000, 0x10000) if row[0] == "data" else row for row in TABLE)
    make_flash(flash, (("app", app_image()), ("ota_0", app_image())), table)
    board = Flash.__new__(Flash)
    board.path = flash
    assert board.boot().label == "app"
    assert board.entries()[0] == BLANK
