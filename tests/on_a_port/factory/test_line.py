"""The production line: every step in its place, several ports at once, and killed anywhere it just goes on."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sqlite3
import threading

import pytest

from keeper.factory.identity import MAGIC
from on_a_port.factory.boards import FakeBoard
from thermokeeper.errors import ToolError
from thermokeeper.factory import line as production
from thermokeeper.factory.lock import alone

MADE = {"made", "flashed", "verified", "tested", "labelled"}


@pytest.fixture
def batch(factory, pattern):
    factory.new("first", "--pattern", pattern, "--count", 6)
    return "first"


@pytest.fixture
def board(tmp_path):
    def make(number: int, **options) -> FakeBoard:
        return FakeBoard(tmp_path / f"board-{number}.bin", f"24:0a:c4:00:00:{number:02x}", **options)

    return make


def test_a_bare_board_becomes_a_labelled_thermometer(factory, batch, board):
    made = factory.line(batch).make(board(1))
    assert made.serial == board(1).serial() == "THERM00000000000001"
    assert factory.journal.steps(made.serial).keys() == MADE
    assert {path.name for path in (factory.folder / "labels" / batch).iterdir()} == {
        f"{made.serial}.svg",
        f"{made.serial}.pdf",
    }
    assert board(1).identity().extra["secret"] == factory.journal.unit(made.serial).secret
    assert not [text for text in factory.said if made.secret in text]


def test_a_board_that_is_done_is_left_alone_and_the_next_board_gets_the_next_serial_number(factory, batch, board):
    first = board(1)
    factory.line(batch).make(first)
    factory.line(batch).make(first)
    assert first.writes == 1
    assert factory.said[-1].endswith("was made already")
    assert factory.line(batch).make(board(2)).serial == "THERM00000000000002"


@pytest.mark.parametrize(
    ("fault", "step", "reason"),
    [
        ("loose cable", "flashed", "no data received"),
        ("bit rot", "verified", "isn't the one that was written"),
        ("no sensor", "tested", "it says: no sensor answers"),
    ],
)
def test_a_board_that_fails_keeps_its_serial_number_and_is_made_once_mended(factory, batch, board, fault, step, reason):
    bad = board(1)
    bad.faults.add(fault)
    with pytest.raises(ToolError, match=f"THERM00000000000001 isn't {step}: .*{reason}"):
        factory.line(batch).make(bad)
    assert step not in factory.journal.steps("THERM00000000000001")
    assert reason in factory.tool("status", batch)
    assert factory.line(batch).make(board(2)).serial == "THERM00000000000002"
    bad.faults.clear()
    assert factory.line(batch).make(bad).serial == "THERM00000000000001"
    assert factory.journal.steps("THERM00000000000001").keys() == MADE
    assert factory.journal.last_trouble("THERM00000000000001") is None


def test_a_board_that_says_it_is_another_fails_its_test(factory, batch, board):
    class Impostor(FakeBoard):
        def console(self, limit_s):
            yield "tk: identity: thermometer, serial THERM00000000000009"
            yield "tk: reading: 20.00 C"

    impostor = Impostor(board(1).path, board(1).mac)
    with pytest.raises(ToolError, match="isn't tested: the board says of itself: thermometer, serial THERM0+9"):
        factory.line(batch).make(impostor)


def test_a_board_of_another_chip_gets_no_serial_number(factory, batch, board):
    with pytest.raises(ToolError, match="this chip is esp32s3"):
        factory.line(batch).make(board(1, chip="esp32s3"))
    assert not [unit for unit in factory.journal.units(batch) if unit.mac]


def test_several_ports_work_at_once_and_one_that_fails_doesnt_stop_the_others(factory, batch, board):
    together = threading.Barrier(4, timeout=20)

    class Slow(FakeBoard):
        def write(self, pieces):
            together.wait()  # all four are being flashed now
            super().write(pieces)

    boards = [Slow(board(number).path, board(number).mac, name=f"port{number}") for number in range(4)]
    boards[2].faults.add("no sensor")
    failed = production.run(factory.line(batch), boards, factory.folder, factory.said.append)
    assert failed == 1
    serials = [made.serial() for made in boards]
    assert sorted(serials) == [f"THERM{number:014d}" for number in range(1, 5)]
    tested = [serial for serial in serials if "tested" in factory.journal.steps(serial)]
    assert set(serials) - set(tested) == {serials[2]}
    assert any(text.startswith("port2: ") and "isn't tested" in text for text in factory.said)


def test_more_ports_than_serial_numbers_is_no_failure(factory, board, pattern):
    factory.new("small", "--pattern", pattern, "--count", 1)
    boards = [board(1), board(2)]
    assert production.run(factory.line("small"), boards, factory.folder, factory.said.append) == 0
    assert sorted(filter(None, (made.serial() for made in boards))) == ["THERM00000000000001"]
    assert any("nothing to do" in text for text in factory.said)


def test_a_port_that_another_run_uses_is_left_to_it(factory, batch, board):
    first = board(1)
    with alone(factory.folder, first.name):
        assert production.run(factory.line(batch), [first], factory.folder, factory.said.append) == 1
    assert first.serial() is None
    assert production.run(factory.line(batch), [first], factory.folder, factory.said.append) == 0


def test_secrets_are_forgotten_once_all_boards_are_made_and_the_serial_numbers_stay_given(factory, board, pattern):
    factory.new("small", "--pattern", pattern, "--count", 2, "--wifi", "lab:password1")
    made = factory.line("small").make(board(1))
    with pytest.raises(ToolError, match=f"{made.serial} isn't registered yet"):
        factory.tool("forget", "small")
    factory.journal.record(made.serial, "registered")
    with pytest.raises(ToolError, match="THERM00000000000002 isn't registered yet"):
        factory.tool("forget", "small")
    factory.tool("scrap", "THERM00000000000002", "--reason", "not needed")
    secrets = [unit.secret.encode() for unit in factory.journal.units("small")]
    factory.tool("forget", "small")
    held = b"".join(path.read_bytes() for path in factory.folder.glob("journal.db*"))
    assert not [secret for secret in [*secrets, b"password1"] if secret in held]
    assert factory.line("small").make(board(1)).serial == made.serial
    with pytest.raises(ToolError, match="is in batch small already"):
        factory.new("again", "--pattern", pattern, "--start", 1, "--count", 1)
    factory.journal.take_back(made.serial, "flashed", "written over")
    with pytest.raises(ToolError, match="was forgotten"):
        factory.line("small").make(board(1))


# -- killed anywhere ---------------------------------------------------------------------------------------------------


class _Killer:
    """Ends this process without a word at the n-th thing that it does."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self) -> None:
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)


def _life(factory, batch, path, mac, at):
    """In a process of its own: make one board, killed at the given point of its life."""
    killer = _Killer(at)
    connect = sqlite3.connect

    class Watched(sqlite3.Connection):
        def execute(self, *arguments):  # type: ignore[override]
            killer()
            done = super().execute(*arguments)
            killer()
            return done

    sqlite3.connect = lambda *arguments, **options: connect(*arguments, factory=Watched, **options)  # type: ignore
    write = production.write_bytes

    def watched_write(target, data):
        killer()
        write(target, data)
        killer()

    production.write_bytes = watched_write
    factory.line(batch).make(FakeBoard(path, mac, tick=killer))


def test_killed_at_any_point_it_goes_on_and_no_serial_number_is_on_two_boards(factory, batch, board, tmp_path):
    context = multiprocessing.get_context("fork")
    clean = tmp_path / "clean"
    shutil.copytree(factory.folder, clean)
    at = 0
    points = 0
    ended = None
    while ended != 0:
        at += 1 + at // 25  # every point at first, where the serial number is given, then one in a few
        shutil.rmtree(factory.folder)
        shutil.copytree(clean, factory.folder)
        for path in tmp_path.glob("board-*.bin"):
            path.unlink()
        cut = board(1)
        process = context.Process(target=_life, args=(factory, batch, cut.path, cut.mac, at))
        process.start()
        process.join(60)
        ended = process.exitcode
        assert ended in (0, -signal.SIGKILL), f"killed at {at}: {ended}"
        points += ended != 0
        left_by_it = cut.serial()
        other = factory.line(batch).make(board(2))
        again = factory.line(batch).make(cut)
        assert again.serial != other.serial, f"killed at {at}"
        assert left_by_it in (None, again.serial), f"killed at {at}"
        for made, flash in ((other, board(2)), (again, cut)):
            assert flash.serial() == made.serial
            assert factory.journal.steps(made.serial).keys() == MADE
    assert points > 30


def test_the_record_is_at_the_place_that_is_read_back(factory, batch, board):
    made = board(1)
    factory.line(batch).make(made)
    assert made.path.read_bytes().count(MAGIC) == 1
