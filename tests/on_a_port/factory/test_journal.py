"""The journal's one promise, under everything that can happen to it: a serial number is on one board, or on none."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from thermokeeper.errors import ToolError
from thermokeeper.factory.journal import BatchDone, Journal
from thermokeeper.factory.serials import from_pattern
from thermokeeper.factory.units import STEPS, Plan

PLAN = Plan("thermometer", "gadgetkeeper", "https://things.example.com", "4MiB", "https://x.example/{serial}", "T", "x")
PATTERN = "S{:d}"
BOARDS = [f"24:0a:c4:00:00:{number:02x}" for number in range(12)]


def _add(journal: Journal, batch: str, start: int, count: int) -> None:
    journal.add_batch(batch, PLAN, from_pattern(PATTERN, start, count))


class Promise(RuleBasedStateMachine):
    """Batches made, boards connected in any order, serial numbers scrapped, the journal opened anew meanwhile."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.journal = Journal(self.folder)
        self.given: dict[str, str] = {}  # serial number -> the only board that ever had it
        self.batches: list[str] = []

    def teardown(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    @rule(start=st.integers(0, 12), count=st.integers(1, 4))
    def makes_a_batch(self, start: int, count: int) -> None:
        name = f"b{len(self.batches)}"
        before = {unit.serial for batch in self.batches for unit in self.journal.units(batch)}
        overlaps = before & {PATTERN.format(number) for number in range(start, start + count)}
        try:
            _add(self.journal, name, start, count)
            assert not overlaps
            self.batches.append(name)
        except ToolError:
            assert overlaps

    @rule(board=st.sampled_from(BOARDS), data=st.data())
    def connects_a_board(self, board: str, data: st.DataObject) -> None:
        if not self.batches:
            return
        batch = data.draw(st.sampled_from(self.batches))
        has = [unit for name in self.batches for unit in self.journal.units(name) if unit.mac == board]
        try:
            unit = self.journal.take(batch, board.upper())
        except BatchDone:
            assert all(unit.mac or unit.scrapped for unit in self.journal.units(batch))
            return
        except ToolError:
            assert has and has[0].batch != batch
            return
        assert not has or unit == has[0]
        assert self.given.setdefault(unit.serial, board) == board

    @rule(data=st.data(), step=st.sampled_from(STEPS[1:]))
    def does_a_step(self, data: st.DataObject, step: str) -> None:
        if not self.given:
            return
        serial = data.draw(st.sampled_from(sorted(self.given)))
        before = self.journal.steps(serial)
        try:
            self.journal.record(serial, step)
        except RuntimeError:
            assert self.journal.steps(serial) == before
            return
        assert self.journal.steps(serial).keys() == before.keys() | {step}

    @rule(data=st.data())
    def scraps_one(self, data: st.DataObject) -> None:
        if self.given:
            self.journal.scrap(data.draw(st.sampled_from(sorted(self.given))), "dropped")

    @rule()
    def starts_again(self) -> None:
        self.journal = Journal(self.folder)

    @invariant()
    def a_board_has_one_serial_number_and_a_serial_number_one_board(self) -> None:
        units = [unit for batch in self.batches for unit in self.journal.units(batch)]
        assert len({unit.serial for unit in units}) == len(units)
        macs = [unit.mac for unit in units if unit.mac]
        assert len(set(macs)) == len(macs)
        for unit in units:
            assert unit.mac is None or self.given[unit.serial] == unit.mac.lower()
            steps = self.journal.steps(unit.serial)
            order = [step for step in STEPS if step != "registered"]
            assert [step for step in order if step in steps] == order[: len(steps.keys() - {"registered"})]


TestPromise = Promise.TestCase
TestPromise.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)


_PROGRAM = """
import sys
from pathlib import Path
from thermokeeper.factory.journal import BatchDone, Journal

journal = Journal(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for number in range(40):
    mac = f"24:0a:c4:{sys.argv[2]}:00:{number:02x}"
    try:
        print(journal.take("first", mac).serial, mac)
    except BatchDone:
        break
"""


def test_two_programs_at_once_never_get_the_same_serial_number(tmp_path):
    _add(Journal(tmp_path), "first", 1, 50)
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(tmp_path), first],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for first in ("01", "02")
    ]
    for program in programs:
        assert program.stdout is not None and program.stdout.readline() == "ready\n"
    for program in programs:  # both begin now
        assert program.stdin is not None
        program.stdin.write("go\n")
        program.stdin.flush()
    taken = [line.split() for program in programs for line in program.communicate(timeout=60)[0].splitlines()]
    assert [program.returncode for program in programs] == [0, 0]
    assert len(taken) == 50
    assert len({serial for serial, _ in taken}) == len({mac for _, mac in taken}) == 50


def test_a_board_of_another_batch_keeps_its_serial_number_until_that_is_scrapped(tmp_path):
    journal = Journal(tmp_path)
    _add(journal, "first", 1, 2)
    _add(journal, "second", 3, 1)
    assert journal.take("first", BOARDS[0]).serial == "S1"
    with pytest.raises(ToolError, match="this board is S1 of batch first"):
        journal.take("second", BOARDS[0])
    journal.scrap("S1", "label torn")
    assert journal.take("second", BOARDS[0]).serial == "S3"
    assert journal.take("first", BOARDS[1]).serial == "S2"
    with pytest.raises(BatchDone):
        journal.take("first", BOARDS[2])


def test_what_a_step_rests_on_can_be_taken_back_with_all_that_followed(tmp_path):
    journal = Journal(tmp_path)
    _add(journal, "first", 1, 1)
    for step in STEPS[1:]:
        journal.record("S1", step)
    journal.take_back("S1", "flashed", "the flash forgot it")
    assert journal.steps("S1").keys() == {"made", "registered"}
    assert journal.last_trouble("S1") == "not flashed: the flash forgot it"
    journal.record("S1", "flashed")
    assert journal.last_trouble("S1") is None


def test_a_journal_from_before_claim_codes_goes_on_without_them(tmp_path):
    Journal(tmp_path)
    with sqlite3.connect(tmp_path / "journal.db") as db:
        db.execute("ALTER TABLE units DROP COLUMN claim_code")
        db.execute("PRAGMA user_version = 1")
        db.execute("INSERT INTO batches VALUES ('old', '{}', '')")
        db.execute("INSERT INTO units (serial, batch, position, secret, members) VALUES ('S1', 'old', 1, '00', '{}')")
    for _ in range(2):
        assert Journal(tmp_path).unit("S1").claim_code is None


def test_a_journal_of_another_schema_or_no_journal_at_all_is_refused(tmp_path):
    Journal(tmp_path)
    with sqlite3.connect(tmp_path / "journal.db") as db:
        db.execute("PRAGMA user_version = 9")
    with pytest.raises(ToolError, match="schema 9"):
        Journal(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "journal.db").write_bytes(b"no database, but long enough to be looked at" * 100)
    with pytest.raises(ToolError, match="can't be used"):
        Journal(tmp_path / "other")
