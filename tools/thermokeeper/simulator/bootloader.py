"""The second-stage bootloader of ESP-IDF with rollback enabled: which slot boots, and what it writes to otadata first.

It works on the shim's flash, so its own writes are counted and can be cut like any other. It doesn't run anything.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from keeper.errors import ReleaseError
from keeper.imaging import image

NEW, PENDING_VERIFY, VALID, INVALID, ABORTED, UNDEFINED = 0, 1, 2, 3, 4, 0xFFFFFFFF
STATE_NAMES = {
    NEW: "new",
    PENDING_VERIFY: "on trial",
    VALID: "valid",
    INVALID: "invalid",
    ABORTED: "aborted",
    UNDEFINED: "undefined",
}
_FACTORY = -1
_OTA = 0x10


@dataclass
class Selection:
    """What the bootloader decided. `label` is None when nothing can be booted."""

    label: str | None
    reason: str
    notes: list[str] = field(default_factory=list)


def select(board: Any, ota: ModuleType, write: bool = True) -> Selection:
    """Choose the application as the bootloader does; with `write`, change otadata as it does. ota: shim's `_simota`."""
    notes: list[str] = []
    apps = {entry[1] - _OTA: entry for entry in board.partitions if entry[0] == 0 and _OTA <= entry[1] < 0x20}
    for entry in board.partitions:
        if entry[0] == 0 and entry[1] == 0:
            apps[_FACTORY] = entry
    count = len([index for index in apps if index >= 0])
    start, initial, reason = _start(board, ota, count, _FACTORY in apps, write, notes)
    # Backwards to the factory application, then forwards: as the bootloader tries them.
    for index in [*range(start, _FACTORY - 1, -1), *range(start + 1, count)]:
        if index not in apps:
            continue
        _, _, address, size, label, _ = apps[index]
        if _valid(board, ota, address, size):
            if initial and index >= 0 and write:
                data = ota.otadata(board)
                ota.write_entry(board, data, 0, index + 1, b"\xff" * 20, VALID)
                notes.append(f"otadata was blank: wrote sequence {index + 1}, valid")
            if index != start:
                reason = f"{reason}; not bootable, so {label} instead"
            return Selection(label, reason, notes)
        notes.append(f"{label} holds no valid application")
    return Selection(None, f"{reason}; no slot holds a valid application", notes)


def _start(
    board: Any, ota: ModuleType, count: int, has_factory: bool, write: bool, notes: list[str]
) -> tuple[int, bool, str]:
    """Index of the slot to try first, whether otadata is as new, and why."""
    if ota.otadata(board) is None:
        return _FACTORY, False, "no otadata: the factory application, or the first slot"
    data, entries = ota.read_entries(board)
    for sector, (sequence, state, _, label) in enumerate(entries):
        if state == PENDING_VERIFY:
            # The one trial is over, whatever ended it. The CRC is of the sequence alone and is taken over as it is.
            if write:
                _rewrite(board, data, sector, sequence, label, ABORTED)
            entries[sector] = (sequence, ABORTED, entries[sector][2], label)
            notes.append(f"{_slot(sequence, count)} was on trial and didn't confirm itself: aborted")
    if not any(ota.bootable(entry) for entry in entries) or not count:
        if has_factory:
            return _FACTORY, False, "otadata names no slot: the factory application"
        initial = all(entry[0] == UNDEFINED or not entry[2] for entry in entries)
        return 0, initial, "otadata is blank" if initial else "otadata names no slot that may boot"
    active = ota.active_entry(entries)
    if active is None:
        return _FACTORY, False, "otadata is damaged: every slot is tried"
    sequence, state, _, label = entries[active]
    reason = f"otadata: sequence {sequence}, {STATE_NAMES.get(state, hex(state))}"
    if state == NEW:
        if write:
            _rewrite(board, data, active, sequence, label, PENDING_VERIFY)
        notes.append(f"{_slot(sequence, count)} is on trial")
        reason += ", on trial now"
    return (sequence - 1) % count, False, reason


_known: dict[bytes, bool] = {}


def _valid(board: Any, ota: ModuleType, address: int, size: int) -> bool:
    """Whether an application can be booted; the same bytes are checked once, campaigns boot them thousands of times."""
    try:
        content = bytearray(image.length(lambda offset, buffer: board.read(address + offset, buffer), size))
    except ReleaseError:
        return bool(ota.valid_image(board.read, address, size))
    board.read(address, content)
    key = hashlib.sha256(content).digest()
    if key not in _known:
        if len(_known) > 1000:
            _known.clear()
        _known[key] = ota.valid_image(board.read, address, size)
    return _known[key]


def _rewrite(board: Any, data: Any, sector: int, sequence: int, label: bytes, state: int) -> None:
    address = data[2] + sector * 4096
    raw = bytearray(32)
    board.read(address, raw)
    board.erase(address)
    board.program(address, raw[:24] + struct.pack("<I", state) + raw[28:])


def _slot(sequence: int, count: int) -> str:
    return f"ota_{(sequence - 1) % count}" if count else "no slot"
