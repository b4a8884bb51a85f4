"""The factory's journal: which serial numbers there are, which board has which, and how far each of them is.

A serial number belongs to the board that it was given to, known by its MAC address, for ever. That is on disk before
the first byte goes to the board. So whatever is interrupted, and wherever: the same board goes on with the same serial
number, and no other board ever gets it. SQLite, fully synchronous, one transaction a step; two programs may use it at
once.
"""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from thermokeeper.contract.times import format_time, now
from thermokeeper.errors import ToolError
from thermokeeper.factory.units import NEEDS, STEPS, Plan, Seed, Unit

FILE = "journal.db"
_PLAIN = (
    "serial",
    "secret",
    "pattern",
    "number",
    "token",
    "claim_code",
    "wifi",
)  # columns that are a Seed's fields as they stand
_BUSY_TIMEOUT_S = 30
_SCHEMA_VERSION = 2
_SCHEMA = """
CREATE TABLE batches (name TEXT PRIMARY KEY, plan TEXT NOT NULL, made_at TEXT NOT NULL);
CREATE TABLE units (
    serial TEXT PRIMARY KEY, batch TEXT NOT NULL REFERENCES batches, position INTEGER NOT NULL,
    pattern TEXT, number INTEGER, secret TEXT NOT NULL, token TEXT, claim_code TEXT, members TEXT NOT NULL, wifi TEXT,
    mac TEXT UNIQUE, scrapped TEXT, UNIQUE (batch, position));
CREATE TABLE steps (
    serial TEXT NOT NULL REFERENCES units, step TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (serial, step));
CREATE TABLE troubles (
    id INTEGER PRIMARY KEY, serial TEXT NOT NULL REFERENCES units, step TEXT NOT NULL, at TEXT NOT NULL,
    reason TEXT NOT NULL);
"""


class BatchDone(ToolError):
    """Every serial number of the batch has its board."""


class Journal:
    """The journal in a folder; made with the first batch. Any thread may call it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # SQLite gives its other files the mode of this one
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600))
        except OSError as error:
            raise ToolError(f"the factory's folder {folder} can't be used: {error.strerror}") from None
        with self._changing() as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                for statement in _SCHEMA.split(";"):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
            elif version == 1:  # no claim codes yet
                db.execute("ALTER TABLE units ADD COLUMN claim_code TEXT")
                db.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
            elif version != _SCHEMA_VERSION:
                raise ToolError(f"{self.path} is of another Thermokeeper's version (schema {version})")

    # batches

    def add_batch(self, batch: str, plan: Plan, seeds: Iterable[Seed]) -> None:
        """Make a batch, all of it or nothing; ToolError if a serial number was given before."""
        with self._changing() as db:
            _check_new(db, batch)
            at = format_time(now())
            db.execute("INSERT INTO batches VALUES (?, ?, ?)", (batch, json.dumps(asdict(plan)), at))
            count = 0
            for count, seed in enumerate(seeds, 1):
                given = db.execute("SELECT batch FROM units WHERE serial = ?", (seed.serial,)).fetchone()
                if given:
                    where = f"is in batch {given['batch']} already" if given["batch"] != batch else "is there twice"
                    raise ToolError(f"the serial number {seed.serial} {where}: none is ever given twice")
                columns = {
                    **{name: getattr(seed, name) for name in _PLAIN},
                    "batch": batch,
                    "position": count,
                    "members": json.dumps(seed.members),
                }
                names = ", ".join(columns)
                places = ", ".join(f":{column}" for column in columns)
                db.execute(f"INSERT INTO units ({names}) VALUES ({places})", columns)
                db.execute("INSERT INTO steps VALUES (?, 'made', ?)", (seed.serial, at))
            if not count:
                raise ToolError("a batch needs at least one serial number")

    def check_new(self, name: str) -> None:
        """ToolError if there is a batch of this name."""
        with self._reading() as db:
            _check_new(db, name)

    def next_number(self, pattern: str) -> int:
        """The number after the last one given with this pattern; 1 if none was."""
        with self._reading() as db:
            found = db.execute("SELECT max(number) FROM units WHERE pattern = ?", (pattern,)).fetchone()[0]
        return 1 if found is None else found + 1

    def batches(self) -> list[str]:
        """Their names, oldest first."""
        with self._reading() as db:
            return [row["name"] for row in db.execute("SELECT name FROM batches ORDER BY made_at, name")]

    def plan(self, batch: str) -> Plan:
        with self._reading() as db:
            found = db.execute("SELECT plan FROM batches WHERE name = ?", (batch,)).fetchone()
        if found is None:
            names = ", ".join(self.batches()[-10:]) or "none"
            raise ToolError(f"there is no batch {batch}; there is: {names}")
        return Plan(**json.loads(found["plan"]))

    # serial numbers

    def units(self, batch: str) -> list[Unit]:
        with self._reading() as db:
            rows = db.execute("SELECT * FROM units WHERE batch = ? ORDER BY position", (batch,)).fetchall()
        return [_unit(row) for row in rows]

    def unit(self, serial: str) -> Unit:
        with self._reading() as db:
            row = db.execute("SELECT * FROM units WHERE serial = ?", (serial,)).fetchone()
        if row is None:
            raise ToolError(f"the journal has no serial number {serial}")
        return _unit(row)

    def take(self, batch: str, mac: str) -> Unit:
        """The serial number of the board with this MAC: the one that it has, else the batch's next one, its own now."""
        mac = mac.lower()
        with self._changing() as db:
            row = db.execute("SELECT * FROM units WHERE mac = ?", (mac,)).fetchone()
            if row is not None:
                if row["batch"] != batch:
                    raise ToolError(
                        f"this board is {row['serial']} of batch {row['batch']}; for another serial number first "
                        f"`thermokeeper factory scrap {row['serial']}`"
                    )
                return _unit(row)
            row = db.execute(
                "SELECT * FROM units WHERE batch = ? AND mac IS NULL AND scrapped IS NULL ORDER BY position", (batch,)
            ).fetchone()
            if row is None:
                raise BatchDone(f"every serial number of {batch} has its board")
            db.execute("UPDATE units SET mac = ? WHERE serial = ?", (mac, row["serial"]))
            return _unit({**dict(row), "mac": mac})

    def scrap(self, serial: str, reason: str) -> None:
        """No board has this serial number any more, and none will ever get it; its board may get another."""
        self.unit(serial)
        with self._changing() as db:
            db.execute("UPDATE units SET scrapped = ?, mac = NULL WHERE serial = ?", (reason, serial))

    def set_token(self, serial: str, token: str) -> None:
        """The provisioning token that goes into the factory record."""
        with self._changing() as db:
            db.execute("UPDATE units SET token = ? WHERE serial = ?", (token, serial))

    def forget(self, batch: str) -> None:
        """Erase what is secret of a batch whose boards are all made; its serial numbers stay given."""
        steps = self.steps_of(batch)
        for unit in self.units(batch):
            open_steps = [step for step in STEPS if step not in steps[unit.serial]]
            if open_steps and not unit.scrapped:
                raise ToolError(f"{unit.serial} isn't {open_steps[0]} yet: its secret is still needed (or scrap it)")
        with self._changing() as db:
            db.execute("UPDATE units SET secret = '', token = NULL, wifi = NULL WHERE batch = ?", (batch,))
            db.execute("UPDATE units SET claim_code = '' WHERE batch = ? AND claim_code IS NOT NULL", (batch,))
        with self._reading() as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    # steps

    def record(self, serial: str, step: str) -> None:
        """This step is done; said again it changes nothing."""
        with self._changing() as db:
            done = _steps(db, serial)
            if NEEDS[step] not in done:
                raise RuntimeError(f"{serial} can't be {step}: it isn't {NEEDS[step]}")
            db.execute("INSERT OR IGNORE INTO steps VALUES (?, ?, ?)", (serial, step, format_time(now())))

    def take_back(self, serial: str, step: str, reason: str) -> None:
        """This step, and what needs it, turned out not to be done."""
        with self._changing() as db:
            gone: str | None = step
            while gone is not None:
                db.execute("DELETE FROM steps WHERE serial = ? AND step = ?", (serial, gone))
                gone = next((later for later, needed in NEEDS.items() if needed == gone), None)
            _trouble(db, serial, step, reason)

    def trouble(self, serial: str, step: str, reason: str) -> None:
        """Note why a step wasn't done."""
        with self._changing() as db:
            _trouble(db, serial, step, reason)

    def steps(self, serial: str) -> dict[str, str]:
        """Step -> when it was done."""
        with self._reading() as db:
            return _steps(db, serial)

    def steps_of(self, batch: str) -> dict[str, dict[str, str]]:
        """Serial number -> its steps."""
        query = "SELECT steps.* FROM steps JOIN units USING (serial) WHERE batch = ? ORDER BY position"
        found: dict[str, dict[str, str]] = {}
        with self._reading() as db:
            for row in db.execute(query, (batch,)):
                found.setdefault(row["serial"], {})[row["step"]] = row["at"]
        return found

    def last_trouble(self, serial: str) -> str | None:
        """The last thing that went wrong with it, while that isn't mended."""
        with self._reading() as db:
            row = db.execute("SELECT * FROM troubles WHERE serial = ? ORDER BY id DESC", (serial,)).fetchone()
            mended = row is None or row["step"] in _steps(db, serial)
        return None if mended else f"not {row['step']}: {row['reason']}"

    # inside

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            db = sqlite3.connect(self.path, timeout=_BUSY_TIMEOUT_S, isolation_level=None)
            try:
                db.row_factory = sqlite3.Row
                db.execute("PRAGMA journal_mode = WAL")
                db.execute("PRAGMA synchronous = FULL")
                db.execute("PRAGMA foreign_keys = ON")
                db.execute("PRAGMA secure_delete = ON")
                yield db
            finally:
                db.close()
        except sqlite3.Error as error:
            raise ToolError(f"the journal {self.path} can't be used: {error}") from None

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        with self._reading() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")


def _check_new(db: sqlite3.Connection, name: str) -> None:
    if db.execute("SELECT 1 FROM batches WHERE name = ?", (name,)).fetchone():
        raise ToolError(f"there is a batch {name} already; see `thermokeeper factory status {name}`")


def _steps(db: sqlite3.Connection, serial: str) -> dict[str, str]:
    return {row["step"]: row["at"] for row in db.execute("SELECT * FROM steps WHERE serial = ?", (serial,))}


def _trouble(db: sqlite3.Connection, serial: str, step: str, reason: str) -> None:
    row = (serial, step, format_time(now()), reason)
    db.execute("INSERT INTO troubles (serial, step, at, reason) VALUES (?, ?, ?, ?)", row)


def _unit(row: Any) -> Unit:
    return Unit(
        serial=row["serial"],
        secret=row["secret"],
        pattern=row["pattern"],
        number=row["number"],
        token=row["token"],
        claim_code=row["claim_code"],
        members=json.loads(row["members"]),
        wifi=row["wifi"],
        batch=row["batch"],
        mac=row["mac"],
        scrapped=row["scrapped"],
    )
