"""boot.py and main.py on the board: newer ones come with a release that has proved itself, whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from littlefs import LittleFS

from lives.kit import FOR_HOURS, Life
from thermokeeper.files import PROJECT
from thermokeeper.release.application import board_files
from thermokeeper.simulator.board import Board
from thermokeeper.simulator.world import MOMENTS, World

NEWER = (("../boot.py", "boot.py, revision 5\n", "boot.py, revision 6\n"),)
OLD_BOOT = board_files(PROJECT)["board/boot.py"]
NEW_BOOT = OLD_BOOT.replace(b"revision 5\n", b"revision 6\n")


def boot_file(vfs: bytes) -> bytes:
    """boot.py as it lies in the partition vfs."""
    files = LittleFS(block_size=4096, block_count=len(vfs) // 4096, mount=False)
    files.context.buffer[:] = vfs
    files.mount()
    with files.open("/boot.py", "rb") as file:
        return bytes(file.read())


def test_newer_boot_files_come_only_after_the_trial_and_start_what_is_there(life: Life) -> None:
    life.boots()
    life.says("confirm")
    life.publish("2.0.0", NEWER)
    life.says("slot", "2.0.0, on trial")
    assert boot_file(life.read("vfs")) == OLD_BOOT
    life.says("trial", "passed")
    life.says("boot", "boot.py is of revision 6 now")
    life.says("confirm")
    assert boot_file(life.read("vfs")) == NEW_BOOT
    life.off()
    life.boots()
    life.says("slot", "2.0.0, valid")
    life.publish("3.0.0")
    life.says("slot", "3.0.0, on trial")
    life.says("confirm")
    assert boot_file(life.read("vfs")) == NEW_BOOT, "an older release's boot.py doesn't replace a newer one"


@pytest.mark.whole
@FOR_HOURS
def test_a_power_cut_anywhere_in_the_renewal_leaves_a_board_that_boots_and_renews(life: Life, tmp_path: Path) -> None:
    life.boots()
    life.says("confirm")
    life.publish("2.0.0", NEWER)
    life.says("trial", "passed")
    life.off()  # in virtual time the board stands still behind its line: the renewal has not begun
    life.world.update(networks=[])
    operations = renew(life.flash, tmp_path / "uncut.bin", lambda world: None)
    cuts = [(number, moment) for number in range(operations) for moment in MOMENTS]
    assert operations >= 4
    for number, moment in cuts:
        flash = tmp_path / "cut.bin"
        renew(life.flash, flash, lambda world, n=number, m=moment: world.cut(n, m, seed=n))  # type: ignore[misc]


def renew(before: Path, flash: Path, plan: Callable[[World], None]) -> int:
    """Boot a copy until the files are renewed, with a cut on the way; number of flash operations it took."""
    shutil.copy(before, flash)
    world = World(networks=[])
    plan(world)
    board = Board(flash, world, "cpython", virtual_time=True, sources=(PROJECT / "lib",))
    outcome = board.play(for_s=10, wall_s=60, max_boots=4)
    table = {operation.partition for operation in board.operations}
    with flash.open("rb") as file:
        file.seek(0x3B1000)
        assert boot_file(file.read(0x1F000)) == NEW_BOOT, (world.settings["cuts"], outcome, table)
    assert outcome == "time", (world.settings["cuts"], outcome)
    return len(board.operations)
