"""Unix MicroPython for tests: its modules come compiled, as on a board, but with their asserts."""

from __future__ import annotations

from pathlib import Path

from thermokeeper import unix_port
from thermokeeper.bytecode import compiled_folder

ROOT = Path(__file__).resolve().parents[2]


def command(*arguments: str | Path, heap_kib: int) -> list[str]:
    """What starts it."""
    return unix_port.command(*arguments, heap_bytes=heap_kib * 1024)


def environment(*folders: Path) -> dict[str, str]:
    """Where it finds the modules of these folders; those of the first come first. A traceback names their sources."""
    named = {f"{folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder}/": folder for folder in folders}
    return {"MICROPYPATH": f".frozen:{compiled_folder(named, level=0)}"}
