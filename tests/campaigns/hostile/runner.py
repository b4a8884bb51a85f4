"""Plays cases on CPython or MicroPython, in a process of its own, and gathers how they were met."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import interpreter

ROOT = Path(__file__).resolve().parents[3]
LIMIT_S = 250
BELOW = (
    "lib",
    "tests/campaigns/hostile",
    "tests/units/device",
    "tests/kit",
    "tools/thermokeeper/simulator/shim",
    "tools",
)


RUNTIMES = ("cpython", "micropython")


@dataclass
class Played:
    """met: case -> how; wrong: case -> why, with what was printed; heap: kind of case -> bytes that were free."""

    met: dict[str, str] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)
    heap: dict[str, int] = field(default_factory=dict)
    count: int | None = None


class Player:
    """A process that plays the cases of an index. work: where its flash is, and what it says. lib: a changed lib/."""

    def __init__(self, runtime: str, folder: Path, index: str, work: Path, lib: Path | None = None) -> None:
        # not measured: the unit tests say what is covered, here it would only take twice the time
        clean = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
        found = ([] if lib is None else [lib]) + [ROOT / below for below in BELOW]
        path = [str(folder) for folder in found]
        if runtime == "micropython":
            command = interpreter.command(heap_kib=896)
            environment = {**clean, **interpreter.environment(*found[:-1])}
        else:
            command = [sys.executable]
            environment = {**clean, "PYTHONPATH": os.pathsep.join(path)}
        arguments = [os.path.relpath(folder, ROOT), index, os.path.relpath(work, ROOT)]
        self._output = work / "output"  # a file: nobody reads while the other runtime is waited for
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [*command, "tests/campaigns/hostile/play.py", *arguments],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def stop(self) -> None:
        """Leave no process behind."""
        self._process.kill()
        self._process.wait()

    def finish(self, limit_s: float = LIMIT_S) -> Played:
        """Wait for it, and read what it said."""
        try:
            end = f"the process ended with status {self._process.wait(limit_s)}"
        except subprocess.TimeoutExpired:
            end = f"stopped after {limit_s:.0f} s: it hangs"
        finally:
            self.stop()
        return _read(self._output.read_text(encoding="utf-8", errors="backslashreplace"), end)


def _read(output: str, end: str) -> Played:
    played = Played()
    name, said = "", []
    for line in output.splitlines():
        word, _, rest = line.removeprefix("--- ").partition(" ") if line.startswith("--- ") else ("", "", "")
        if word == "CASE":
            name, said = rest, []
        elif word == "MET":
            played.met[name] = rest
        elif word == "WRONG":
            played.wrong[name] = "\n".join([rest, *said])
        elif word == "HEAP":
            kind, spare = rest.split()
            played.heap[kind] = int(spare)
        elif word == "END":
            played.count = int(rest)
        elif not line.startswith("tk: "):
            said.append(line)
    if played.count is None:
        played.wrong[name or "the start"] = "\n".join([end, *said[-30:]])
    return played
