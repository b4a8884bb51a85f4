"""Runs the scripts of tests/device/scripts on the board on a port, across resets, and compares what they print.

    make test-device PORT=/dev/ttyUSB0

PORT is anything that pyserial opens: /dev/tty..., COM3, socket://host:port, rfc2217://host:port. The board runs a
release; its program is stopped for each step and started again at the end. Nothing of it is lost: what a script writes
it takes away again. A script is made of steps:

    #: run            the lines that follow run on the board, at its prompt
    #: prints TEXT    and print a line that matches, in this order
    #: resets         the lines before it end in a reset
    #: says TEXT      the board's program says a line that matches
    #: asks WORDS     the program is asked on its console, and its JSON answer has to match the TEXT of `answers`
    #: answers TEXT
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from thermokeeper.board import console
from thermokeeper.board.link import Link, linked
from thermokeeper.errors import ToolError

SCRIPTS = Path(__file__).parent / "scripts"
_WORDS = ("run", "prints", "resets", "says", "asks", "answers")
_WAIT_S = 60  # for the program to say something: Wi-Fi and a server may be far
_BEGIN = "import machine\nmachine.WDT(timeout=300000)\n"


class Failed(Exception):
    """What a step expected and what came instead."""


@dataclass
class Step:
    """One line `#: WORD TEXT` of a script, with the code below it."""

    line: int
    word: str
    text: str
    code: str = ""


def steps(path: Path) -> Iterator[Step]:
    """The steps of a script; ValueError names a line that is none."""
    current: Step | None = None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("#:"):
            if current:
                yield current
            word, _, text = line[2:].strip().partition(" ")
            if word not in _WORDS:
                raise ValueError(f"{path.name}:{number}: no step `{word}`")
            current = Step(number, word, text)
        elif current and current.word == "run":
            current.code += line + "\n"
    if current:
        yield current


def run(path: Path, port: str) -> None:
    """Run one script; Failed says which line of it was not met."""
    printed: list[str] = []
    script = list(steps(path))
    for number, step in enumerate(script):
        try:
            if step.word == "run":
                resets = any(later.word == "resets" for later in _until_run(script[number + 1 :]))
                said = [later.text for later in _until_run(script[number + 1 :]) if later.word == "says"]
                printed = _run_code(port, step.code, resets, said)
            elif step.word == "prints":
                _take(printed, step.text)
            elif step.word == "asks":
                answer = console.ask(port, tuple(shlex.split(step.text)), _WAIT_S)
                printed = [json.dumps(answer, sort_keys=True)]
            elif step.word == "answers" and not re.search(step.text, printed[0]):
                raise Failed(f"expected {step.text!r} in {printed[0]}")
        except (Failed, ToolError) as error:
            raise Failed(f"{path.name}:{step.line}: {error}") from None


def _until_run(following: list[Step]) -> Iterator[Step]:
    for step in following:
        if step.word == "run":
            return
        yield step


def _run_code(port: str, code: str, resets: bool, says: list[str]) -> list[str]:
    with linked(port) as link:
        link.stop_program()
        if not resets:
            return link.run(_BEGIN + code).splitlines()
        link.exec_raw_no_follow(_BEGIN + code)
        _hear(link, says or ["tk: "])
    return []


def _hear(link: Link, says: list[str]) -> None:
    left = list(says)
    heard = []
    began_s = time.monotonic()
    for line in link.lines(_WAIT_S):
        heard.append(line)
        if re.search(left[0], line):
            left.pop(0)
            if not left:
                return
    raise Failed(f"the board never said {left[0]!r} in {time.monotonic() - began_s:.0f} s, but: {heard[-5:]}")


def _take(printed: list[str], pattern: str) -> None:
    """Take lines off until one matches."""
    before = list(printed)
    while printed:
        if re.search(pattern, printed.pop(0)):
            return
    raise Failed(f"expected a line {pattern!r}, found {before}")


def main(arguments: list[str] | None = None) -> int:
    """The number of scripts that failed."""
    parser = argparse.ArgumentParser(description="Run tests on the board on a port.")
    parser.add_argument("--port", required=True)
    parser.add_argument("scripts", nargs="*", type=Path, default=sorted(SCRIPTS.glob("*.py")))
    given = parser.parse_args(arguments)
    passed = failed = 0
    for path in given.scripts:
        began_s = time.monotonic()
        try:
            run(path, given.port)
            passed += 1
            print(f"passed  {path.name} in {time.monotonic() - began_s:.1f} s", flush=True)
        except Failed as error:
            failed += 1
            print(f"FAILED  {error}", flush=True)
    try:
        with linked(given.port) as link:
            link.stop_program()
            link.restart()
    except ToolError as error:
        failed += 1
        print(f"FAILED  the board can't be restarted: {error}")
    print(f"{passed} passed, {failed} failed on {given.port}")
    return failed


if __name__ == "__main__":
    sys.exit(min(main(), 1))
