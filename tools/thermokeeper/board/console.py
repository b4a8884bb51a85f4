"""The board's console on a port, by pyserial: a terminal for a person, one question and its answer for a program.

docs/console.md has the commands. A line that begins with `json` gets one answer, `tk: answer: {...}`.
"""

from __future__ import annotations

import json
import time
from typing import Any

import serial
from serial.tools.miniterm import Miniterm, key_description

from thermokeeper.board import port as ports
from thermokeeper.errors import ToolError

_ANSWER = "tk: answer: "
_CLEAR_LINE = b"\x15"  # Ctrl-U: whatever somebody has begun to type
_LINE_LIMIT = 200
_READ_S = 0.2
_LEAVE = "\x1d"  # Ctrl-]
_PROMPT = b">>> "


def terminal(port: str) -> None:
    """Be a terminal until Ctrl-]."""
    found = ports.open_port(port, 1)
    try:
        screen = Miniterm(found, eol="cr", filters=["default"])
    except Exception as error:  # without a terminal termios has its own words
        found.close()
        raise ToolError(f"there is no terminal to work in ({error}); ask single questions with --json") from None
    screen.exit_character = _LEAVE
    screen.set_rx_encoding("utf-8")
    screen.set_tx_encoding("utf-8")
    print(f"-- {port}: {key_description(_LEAVE)} leaves, `help` lists the board's commands")
    screen.start()
    try:
        screen.join(True)
    except KeyboardInterrupt:
        pass
    screen.stop()
    screen.join()
    screen.close()


def ask(port: str, words: tuple[str, ...], timeout_s: float) -> dict[str, Any]:
    """The board's answer to one command; ToolError if there is none."""
    line = " ".join(["json", *(_quoted(word) for word in words)])
    if len(line.encode()) > _LINE_LIMIT:
        raise ToolError(f"the board takes at most {_LINE_LIMIT} characters in a line, this has {len(line.encode())}")
    found = ports.open_port(port, _READ_S)
    try:
        found.write(_CLEAR_LINE + line.encode() + b"\r")
        return _answer(found, port, timeout_s)
    except (serial.SerialException, OSError) as error:
        raise ports.lost(port, error) from None
    finally:
        found.close()


def _answer(found: serial.SerialBase, port: str, timeout_s: float) -> dict[str, Any]:
    deadline_s = time.monotonic() + timeout_s
    heard = bytearray()
    silent = True
    while time.monotonic() < deadline_s:
        data = found.read(max(1, getattr(found, "in_waiting", 1)))
        silent = silent and not data
        heard += data
        while b"\n" in heard:
            line, _, heard = heard.partition(b"\n")
            text = line.decode(errors="replace").strip()
            if text.startswith(_ANSWER):
                return _parsed(text[len(_ANSWER) :], port)
        if heard.endswith(_PROMPT):
            raise ToolError(f"{port}: the board is at MicroPython's prompt; Ctrl-D there starts its program again")
    raise ToolError(
        f"{port}: the board says nothing at all; is it on, and the port the right one?"
        if silent
        else f"{port}: no answer in {timeout_s:g} s; the board may be busy, or its release knows no commands"
    )


def _parsed(text: str, port: str) -> dict[str, Any]:
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or "ok" not in answer:
        raise ToolError(f"{port}: the answer is garbled; ask again")
    return answer


def _quoted(word: str) -> str:
    """A word as the board reads it: with spaces or quotes in it, in quotes."""
    if any(ord(char) < 32 or ord(char) == 127 for char in word):
        raise ToolError("a command has no control characters")
    if word and not set(word) & set(' "\\'):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
