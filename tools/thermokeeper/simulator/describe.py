"""What a flash image holds, in words; it changes nothing and shows no secret."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from thermokeeper.simulator import bootloader, nvs, shimcode
from thermokeeper.simulator.board import check_flash

_KINDS = {0: "app", 1: "data"}


def describe(flash: Path) -> Iterator[str]:
    """Lines for a person."""
    check_flash(flash)
    with flash.open("rb", buffering=0) as file:
        board, shim = open_flash(file)
        yield f"{flash.name}: {flash.stat().st_size // 1024} KiB"
        yield ""
        yield "partitions"
        for kind, subtype, address, size, label, _ in board.partitions:
            name = _KINDS.get(kind, hex(kind))
            yield f"  {label:<10} {name:<5} {subtype:#04x}  {address:#08x}  {size // 1024:>5} KiB"
        yield ""
        yield from _boot(board, shim["_simota"])
        for kind, subtype, address, size, label, _ in board.partitions:
            if kind == 1 and subtype == 2:
                yield ""
                yield from _nvs(label, _read(board, address, size))


def open_flash(file: Any) -> tuple[Any, shimcode.ShimModules]:
    """The shim's board on a flash file, for reading, and its modules."""
    shim = shimcode.ShimModules()
    sim = shim["_sim"]

    def refuse(line: str) -> None:
        raise RuntimeError(line)

    board = sim.attach(sim.Board(file, refuse, refuse, dict, ""))
    return board, shim


def _boot(board: Any, ota: ModuleType) -> Iterator[str]:
    yield "otadata"
    if ota.otadata(board) is None:
        yield "  none"
    else:
        entries = ota.read_entries(board)[1]
        count = max(1, ota.slot_count(board))
        for sector, (sequence, state, sound, _) in enumerate(entries):
            if sequence == 0xFFFFFFFF:
                yield f"  sector {sector}: blank"
                continue
            name = bootloader.STATE_NAMES.get(state, hex(state))
            slot = f"ota_{(sequence - 1) % count}"
            yield f"  sector {sector}: sequence {sequence} -> {slot}, {name}{'' if sound else ', checksum wrong'}"
    chosen = bootloader.select(board, ota, write=False)
    yield ""
    yield f"next boot: {chosen.label or 'nothing'} ({chosen.reason})"
    for note in chosen.notes:
        yield f"  {note}"


def _nvs(label: str, data: bytes) -> Iterator[str]:
    found = nvs.read(data)
    yield f"{label}: pages {', '.join(found.pages)}; {found.entries_used} of {126 * (len(found.pages) - 1)} entries"
    for (namespace, key), value in sorted(found.values.items()):
        if isinstance(value, int):
            yield f"  {namespace}/{key}: number"
        else:
            yield f"  {namespace}/{key}: {'text' if isinstance(value, str) else 'blob'} of {len(value)} bytes"
    for problem in found.problems:
        yield f"  {problem}"


def _read(board: Any, address: int, size: int) -> bytes:
    buffer = bytearray(size)
    board.read(address, buffer)
    return bytes(buffer)
