"""A board's flash in memory, what of it the campaign reads, and what a power cut makes of it."""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from keeper import release
from keeper.errors import ReleaseError
from keeper.imaging import image
from power.workshop import TABLE
from thermokeeper.simulator import nvs, shimcode

NEW, PENDING, VALID, INVALID, ABORTED, UNDEFINED = 0, 1, 2, 3, 4, 0xFFFFFFFF
SLOTS = ("ota_0", "ota_1")
SECTOR = 4096


class Flash:
    """Stands for the path of a flash file: `open` gives the bytes, unbuffered.

    on_write(address, data) is called before each change: for an erase with a sector of ones, for a program with what
    the bytes become.
    """

    def __init__(self, data: bytearray) -> None:
        self.data = data
        self.on_write: Callable[[int, bytes], None] | None = None
        self.loses: set[int] = set()  # addresses at which a program operation has no effect, once each

    def open(self, mode: str = "rb", buffering: int = 0) -> _Opened:
        return _Opened(self)

    def part(self, label: str, size: int | None = None) -> memoryview:
        """The bytes of a partition, or the first of them."""
        start = TABLE[label].offset
        return memoryview(self.data)[start : start + (size or TABLE[label].size)]


class _Opened:
    def __init__(self, flash: Flash) -> None:
        self._flash = flash
        self._at = 0

    def seek(self, offset: int) -> int:
        self._at = offset
        return offset

    def readinto(self, buffer: Any) -> int:
        data = self._flash.data[self._at : self._at + len(buffer)]
        memoryview(buffer)[: len(data)] = data
        self._at += len(data)
        return len(data)

    def write(self, data: bytes) -> int:
        flash = self._flash
        if flash.on_write:
            flash.on_write(self._at, bytes(data))
        if self._at in flash.loses and bytes(data).strip(b"\xff"):
            flash.loses.discard(self._at)
            return len(data)
        flash.data[self._at : self._at + len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        pass

    def __enter__(self) -> _Opened:
        return self

    def __exit__(self, *error: object) -> None:
        pass


def partition_at(address: int) -> str:
    """Label of the partition that an address is in."""
    for part in TABLE.partitions.values():
        if part.offset <= address < part.offset + part.size:
            return part.label
    return ""


@dataclass(frozen=True)
class Operation:
    """One flash operation of the uncut life: `data` is what the bytes from `address` on became."""

    number: int
    index: int  # the same, in its stage
    kind: str
    address: int
    data: bytes
    stage: int
    boot: int
    by_bootloader: bool
    known: int  # which of the uncut life's states of the service it was
    selected: frozenset[str]  # versions that have been selected for a boot, by this operation too

    @property
    def partition(self) -> str:
        return partition_at(self.address)

    def __str__(self) -> str:
        where = self.address - TABLE[self.partition].offset
        who = ", by the bootloader" if self.by_bootloader else ""
        return f"{self.kind} {len(self.data)} bytes of {self.partition} at {where:#x}{who}"


class _PowerGone(Exception):
    pass


def cut(flash: Flash, operation: Operation, moment: str, seed: int) -> None:
    """Change a flash as it is before an operation into what a cut in it leaves; the simulator's own cut does it."""

    def gone(line: str) -> None:
        raise _PowerGone(line)

    def nothing(line: str) -> None:
        pass

    world = {"cuts": [{"operation": operation.index, "moment": moment, "seed": seed}]}
    shim = shimcode.ShimModules()["_sim"]
    board = shim.Board(flash.open(), nothing, gone, lambda: world, "", 1, operation.index)
    try:
        if operation.kind == "erase":
            board.erase(operation.address)
        else:
            board.program(operation.address, operation.data)
    except _PowerGone:
        return
    raise AssertionError(f"the cut in operation {operation.number} never came")


# what is in it


def slot_states(flash: Flash) -> dict[str, int]:
    """otadata's state of each slot, by its newest entry; UNDEFINED without one."""
    newest = dict.fromkeys(SLOTS, 0)
    states = dict.fromkeys(SLOTS, UNDEFINED)
    data = flash.part("otadata")
    for sector in (0, 1):
        sequence, _, state, crc = struct.unpack_from("<I20sII", data, sector * SECTOR)
        if sequence in (0, UNDEFINED) or crc != zlib.crc32(struct.pack("<I", sequence), UNDEFINED):
            continue
        slot = SLOTS[(sequence - 1) % 2]
        if sequence > newest[slot]:
            newest[slot], states[slot] = sequence, state
    return states


def records(flash: Flash) -> dict[str, Any]:
    """keeper's records in NVS: name -> what the JSON holds, whatever is damaged left out."""
    found = nvs.read(bytes(flash.part("nvs")))
    result: dict[str, Any] = {}
    for (namespace, name), value in found.values.items():
        if namespace != "keeper" or not isinstance(value, bytes):
            continue
        try:
            content = json.loads(value)
        except ValueError:
            content = value.hex()
        name, _, field = name.partition(".")
        if field:  # only with the guard "a record is one blob" taken out
            result.setdefault(name, {})[field] = content
        else:
            result[name] = content
    return result


def key_in(records: dict[str, Any]) -> str | None:
    """What the board shows its service: the key, or the credential, in these records."""
    found: str | None = records.get("cloud", {}).get("key") or records.get("dms", {}).get("credential")
    return found


def header_in(flash: Flash, slot: str) -> release.Manifest | None:
    """What a slot says that it holds, as boot.py and the installer find it; None if it says nothing."""
    part = flash.part(slot)

    def read(offset: int, buffer: bytearray) -> None:
        buffer[:] = part[offset : offset + len(buffer)]

    try:
        start = (image.length(read, len(part)) + SECTOR - 1) // SECTOR * SECTOR
        return release.parse(bytes(part[start : start + SECTOR]))
    except (ReleaseError, ValueError):
        return None


def lies_in(flash: Flash, slot: str) -> str:
    """What is wrong with the release that a slot says it holds; "" if it is whole, or the slot says nothing."""
    manifest = header_in(flash, slot)
    if manifest is None:
        return ""
    content = flash.part(slot)
    for part in manifest.parts:
        start = manifest.slot_offset(part)
        if hashlib.sha256(content[start : start + part.size]).digest() != part.sha256:
            return f"{slot} has the header of release {manifest.version}, but not its part {part.name}"
    return ""
