"""Runs each unit test twice: as an ordinary pytest function on CPython, and on unix MicroPython.

A file `test_image.py` gives `test_image.py::test_x` and `test_image.py::micropython::test_x`. One MicroPython process
runs the chosen tests of a file, so a test there may cost no more than a few milliseconds. A file says what differs
with literals at module level: `RUNTIMES = ("cpython",)` or `("micropython",)`, and `HEAP_KIB = 256`.
"""

from __future__ import annotations

import ast
import linecache
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import interpreter

RUNTIMES = ("cpython", "micropython")
HEAP_KIB = 512
PROCESS_LIMIT_S = 200  # below pytest-timeout's, which would not say which test hung

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
MODULE_FOLDERS = ("lib", "tests/units/device", "tools/thermokeeper/simulator/shim")
_TRACE_LINE = re.compile(r'^  File "(?P<file>[^"]+)", line (?P<line>\d+)')

_TICKS = 1 << 30


def _lend_micropythons_time() -> None:
    """Give CPython's `time` what every MicroPython has, wrapping where the board's wraps."""
    lent = {
        "ticks_ms": lambda: time.monotonic_ns() // 1_000_000 % _TICKS,
        "ticks_us": lambda: time.monotonic_ns() // 1_000 % _TICKS,
        "ticks_add": lambda ticks, delta: (ticks + delta) % _TICKS,
        "ticks_diff": lambda end, start: (end - start + _TICKS // 2) % _TICKS - _TICKS // 2,
        "sleep_ms": lambda ms: time.sleep(max(ms, 0) / 1_000),
        "sleep_us": lambda us: time.sleep(max(us, 0) / 1_000_000),
    }
    for name, function in lent.items():
        if not hasattr(time, name):
            setattr(time, name, function)


_lend_micropythons_time()


@dataclass
class UnitFile:
    """What a unit-test file says of itself, read without importing it."""

    runtimes: tuple[str, ...] = RUNTIMES
    heap_kib: int = HEAP_KIB
    lines: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> UnitFile:
        found = cls()
        for node in ast.parse(path.read_text(encoding="utf-8"), str(path)).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                if node.args.args or node.decorator_list:
                    raise pytest.UsageError(f"{path}:{node.lineno}: a unit test takes no arguments and no decorators")
                found.lines[node.name] = node.lineno
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                if node.targets[0].id == "RUNTIMES":
                    found.runtimes = tuple(ast.literal_eval(node.value))
                    if not found.runtimes or not set(found.runtimes) <= set(RUNTIMES):
                        raise pytest.UsageError(f"{path}: RUNTIMES is some of {RUNTIMES}")
                elif node.targets[0].id == "HEAP_KIB":
                    found.heap_kib = int(ast.literal_eval(node.value))
        return found


def _unit_file(path: Path) -> UnitFile | None:
    """The file's own words, or None if it is no unit test (or broken: CPython's collector then says how)."""
    if path.parent != HERE or not path.name.startswith("test_") or path.suffix != ".py":
        return None
    try:
        return UnitFile.read(path)
    except SyntaxError:
        return None


class NotOnCPython(pytest.Module):
    """Stands for a file that only MicroPython can run."""

    def collect(self) -> list[pytest.Item]:
        return []


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    unit = _unit_file(module_path)
    if unit is not None and "cpython" not in unit.runtimes:
        return NotOnCPython.from_parent(parent, path=module_path)
    return None


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    unit = _unit_file(file_path)
    if unit is None or "micropython" not in unit.runtimes or not unit.lines:
        return None
    return MicroPythonFile.from_parent(parent, path=file_path)


class MicroPythonFile(pytest.File):
    """The file once more; its only child is the runtime, so that node ids read `file::micropython::test`."""

    def collect(self) -> list[MicroPythonRuntime]:
        return [MicroPythonRuntime.from_parent(self, name="micropython")]


class MicroPythonRuntime(pytest.Collector):
    """The tests of one file on MicroPython; runs the process when the first of them is due."""

    unit: UnitFile
    outcomes: dict[str, Outcome] | None = None

    def collect(self) -> list[MicroPythonTest]:
        self.unit = UnitFile.read(self.path)
        return [MicroPythonTest.from_parent(self, name=name) for name in self.unit.lines]

    def outcome(self, item: MicroPythonTest) -> Outcome:
        if self.outcomes is None:
            chosen = [other.name for other in self.session.items if other.parent is self]
            self.outcomes = _run(self.path, chosen, self.unit.heap_kib)
        return self.outcomes[item.name]


class MicroPythonTest(pytest.Item):
    """One test function on MicroPython."""

    parent: MicroPythonRuntime

    def runtest(self) -> None:
        outcome = self.parent.outcome(self)
        if not outcome.passed:
            raise MicroPythonFailure(outcome.text)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: str | None = None) -> object:
        if isinstance(excinfo.value, MicroPythonFailure):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self.parent.unit.lines[self.name] - 1, f"micropython: {self.name}"


class MicroPythonFailure(Exception):
    """What the test printed, and its traceback."""


@dataclass
class Outcome:
    passed: bool
    text: str


def _run(path: Path, names: list[str], heap_kib: int) -> dict[str, Outcome]:
    """Run the named tests in one process and say how each ended.

    Paths are relative to the project: MicroPython ends at once on an argument or a folder of 256 bytes or more.
    """
    command = interpreter.command("tests/units/device/run.py", path.relative_to(ROOT), *names, heap_kib=heap_kib)
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **interpreter.environment(*(ROOT / folder for folder in MODULE_FOLDERS))},
        start_new_session=True,
        encoding="utf-8",
        errors="backslashreplace",
    )
    try:
        output, _ = process.communicate(timeout=PROCESS_LIMIT_S)
        end = f"MicroPython ended with status {process.returncode}"
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        end = f"stopped after {PROCESS_LIMIT_S} s"
    except BaseException:  # a test run that is broken off leaves no process behind
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    return _outcomes(output, names, end)


def _outcomes(output: str, names: list[str], end: str) -> dict[str, Outcome]:
    """Sort the runner's output into what belongs to each test."""
    loaded = False
    said: dict[str, list[str]] = {"": []}
    passed: set[str] = set()
    failed: set[str] = set()
    current = ""
    for line in output.splitlines():
        word, _, rest = line.removeprefix("--- ").partition(" ") if line.startswith("--- ") else ("", "", "")
        if word == "LOADED":
            loaded = True
        elif word == "RUN":
            current = rest
            said[current] = []
        elif word == "PASS" and rest == current:
            passed.add(rest)
        elif word == "FAIL" and rest == current:
            failed.add(rest)
        else:
            said[current].append(line)
    outcomes = {}
    for name in names:
        lines = list(_with_source(said.get(name, [])))
        if not loaded:
            lines = ["the file can't be imported on MicroPython", *_with_source(said[""])]
        elif name not in said:
            lines = [f"never started: {end}, while running {current}"]
        elif name not in passed | failed:
            lines.append(f"never ended: {end}")
        outcomes[name] = Outcome(loaded and name in passed and name not in failed, "\n".join(lines))
    return outcomes


def _with_source(lines: list[str]) -> Iterator[str]:
    """Add to each traceback line the line of source that it names."""
    for line in lines:
        yield line
        if (match := _TRACE_LINE.match(line)) and (
            source := linecache.getline(str(ROOT / match["file"]), int(match["line"]))
        ):
            yield f"    {source.strip()}"
