"""Watches one board against the rules that hold at every moment: what it boots, what it writes and when."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from power import flash as flash_of
from power.courses import Stage
from power.flash import NEW, PENDING, SLOTS, Flash
from power.workshop import FAILING, Works
from thermokeeper.simulator.board import Event

_ROLLED_BACK = re.compile(r"tk: rollback: release (\S+) didn't prove itself")
_ENDS = ("no-slot", "vfs", "repl", "panic")


class Witness:
    """stage: what is to happen, or None for nothing. selected: versions that were to be booted before.

    `trouble`: the first rule that was broken. `keyboard`: takes what somebody types.
    """

    def __init__(self, works: Works, flash: Flash, stage: Stage | None = None, selected: Iterable[str] = ()) -> None:
        self.flash = flash
        self.keyboard: Callable[[str], None] = lambda line: None
        self.slot = ""  # what was booted last
        self.lines: list[str] = []
        self.boots: list[str] = []  # versions
        self.cuts = 0
        self.trials = 0  # boots of the release that fails
        self.selected = set(selected)
        self.is_done = False
        self.trouble: str | None = None
        self.in_bootloader = True
        self._works = works
        self._done = f"tk: {stage.done if stage else ''}"
        self._asks, self._typed = stage.typed if stage and stage.typed else ("", "")
        flash.on_write = self.written

    def heard(self, event: Event) -> None:
        """For `Board.play`."""
        if not event.text.startswith("tk: reading:"):
            self.lines.append(event.text if event.kind == "console" else f"-- {event.kind}: {event.text}")
        if event.kind == "console":
            self.is_done = self.is_done or event.text == self._done
            if self._typed and event.text == f"tk: {self._asks}":
                self.keyboard(self._typed)
            failed = _ROLLED_BACK.match(event.text)
            if failed and failed[1] not in self.selected:
                self._fault(f"{failed[1]} is taken for a release that failed, but was never selected")
        elif event.kind == "boot":
            self.in_bootloader = False
            self.slot = event.text
            version = self.content_of(event.text)
            if version is None:
                self._fault(f"{event.text} was booted, and doesn't hold a whole release")
            self.boots.append(version or "?")
            self.trials += version == FAILING
        elif event.kind in ("reset", "cut", "watchdog", "sleep"):
            self.in_bootloader = True
            if event.kind == "cut":
                self.cuts += 1
                self.look_at_headers()
        elif event.kind in _ENDS:
            self._fault(f"the board needs a person: {event.kind} {event.text}")

    def look_at_headers(self) -> None:
        """At a cut: a slot that says which release it holds has to hold it."""
        for slot in SLOTS:
            if wrong := flash_of.lies_in(self.flash, slot):
                self._fault(wrong)

    def content_of(self, slot: str) -> str | None:
        """Version of the release that a slot holds, byte for byte."""
        part = self.flash.part(slot)
        for version, content in self._works.slots.items():
            if part[: len(content)] == content:
                return version
        return None

    def _selection(self, label: str, data: bytes) -> str | None:
        """Version that a write selects for the next boot; "?" for a slot that doesn't hold one, None if it doesn't."""
        if label != "otadata" or len(data) != 32 or data[24:28] != bytes(4):
            return None
        return self.content_of(SLOTS[(int.from_bytes(data[:4], "little") - 1) % 2]) or "?"

    def written(self, address: int, data: bytes) -> None:
        """Before each change of flash."""
        label = flash_of.partition_at(address)
        on_trial = self.slot != "" and flash_of.slot_states(self.flash)[self.slot] in (NEW, PENDING)
        if label in SLOTS:
            if label == self.slot or self.in_bootloader:
                self._fault(f"the running slot {label} was written")
            elif on_trial:
                self._fault(f"{label} was written while {self.slot} was on trial")
        elif label == "vfs":
            if on_trial:
                self._fault("the board's own file system was written by a release on trial")
        elif label not in ("nvs", "otadata", "data"):
            self._fault(f"the partition {label or 'table'} was written")
        version = self._selection(label, data)
        if version == "?":
            self._fault("a slot was selected that doesn't hold a whole release")
        if version:
            self.selected.add(version)

    def _fault(self, text: str) -> None:
        self.trouble = self.trouble or text
