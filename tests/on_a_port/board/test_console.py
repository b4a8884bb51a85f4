"""`thermokeeper console`: a question and its answer, and a terminal, to a simulated board on a pseudo terminal."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import serial
from click.testing import CliRunner

from lives.kit import SERIAL
from release_support import tool
from thermokeeper.board import console
from thermokeeper.cli import cli
from thermokeeper.errors import ToolError

COMMAND = str(Path(sys.executable).with_name("thermokeeper"))


def test_a_question_gets_its_one_answer(bench):
    answer = json.loads(tool("console", "--port", bench.port.path, "--json", "status"))
    assert answer["ok"] and answer["command"] == "status"
    assert answer["result"]["serial"] == SERIAL and answer["result"]["release"] == "1.0.0"
    answer = json.loads(tool("console", "--port", bench.port.path, "--json", "wifi", 'my "lab" \\o/', "celsius scale"))
    assert answer["result"].startswith('my "lab" \\o/ is stored')
    refused = CliRunner().invoke(cli, ["console", "--port", bench.port.path, "--json", "provision"])
    assert refused.exit_code == 1
    assert json.loads(refused.output) == {"command": "provision", "ok": False, "error": "a word is missing"}


def test_what_somebody_has_begun_to_type_is_no_part_of_the_question(bench):
    bench.board.type("wifi forget", end="")
    time.sleep(0.5)
    assert json.loads(tool("console", "--port", bench.port.path, "--json", "wifi"))["result"] == {
        "networks": ["workshop"]
    }


def test_a_terminal_shows_the_board_and_types_to_it(bench):
    pid, terminal = os.forkpty()
    if pid == 0:
        os.execv(COMMAND, [COMMAND, "console", "--port", bench.port.path])
    heard = b""

    def hears(text: bytes) -> None:
        nonlocal heard
        deadline_s = time.monotonic() + 20
        while text not in heard and time.monotonic() < deadline_s:
            if select.select([terminal], [], [], 0.2)[0]:
                heard += os.read(terminal, 4096)
        assert text in heard, heard[-2000:]

    try:
        hears(b"Ctrl+] leaves")
        hears(b"tk: reading")
        os.write(terminal, b"status\r")
        hears(b"tk: status: serial " + SERIAL.encode())
        os.write(terminal, b"\x1d")
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0
    finally:
        os.close(terminal)


Answers = Callable[[bytes], str]


@pytest.fixture
def board() -> Iterator[Answers]:
    """`board(b"...")`: a port at which any line is answered so."""
    ends: list[tuple[int, int]] = []
    over = threading.Event()

    def make(answer: bytes) -> str:
        near, far = os.openpty()
        ends.append((near, far))

        def serve() -> None:
            while not over.is_set():
                if select.select([near], [], [], 0.1)[0] and b"\r" in os.read(near, 1000) and answer:
                    os.write(near, answer)

        threading.Thread(target=serve, daemon=True).start()
        port = os.ttyname(far)
        serial.Serial(port).close()  # makes it raw
        return port

    yield make
    over.set()
    time.sleep(0.2)
    for near, far in ends:
        os.close(near)
        os.close(far)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "says nothing at all"),
        (b"tk: reading: 21 C\r\n", r"no answer in 0.8 s"),
        (b"tk: answer: {half\r\n", "the answer is garbled"),
        (b"tk: answer: [1]\r\n", "the answer is garbled"),
        (b"NameError: name 'json' isn't defined\r\n>>> ", "at MicroPython's prompt"),
    ],
)
def test_what_is_no_answer_is_said_in_one_line(board, answer, reason):
    with pytest.raises(ToolError, match=reason) as caught:
        tool("console", "--port", board(answer), "--timeout", "0.8", "--json", "status")
    assert "\n" not in str(caught.value)


def test_an_answer_among_other_lines_is_found(board):
    port = board(
        b'json x\r\ntk: reading: 1 C\r\ntk: answer: {"ok": true, "command": "x", "result": "d\\u00e9j\\u00e0"}\r\n'
    )
    assert console.ask(port, ("x",), 5)["result"] == "déjà"


def test_a_question_that_no_board_takes_is_not_asked(board):
    for words, reason in ((["x" * 250], "at most 200 characters"), (["a\nb"], "no control characters")):
        with pytest.raises(ToolError, match=reason):
            tool("console", "--port", board(b""), "--json", *words)


def test_commands_and_options_that_do_not_go_together_are_usage_errors():
    for words in (["status"], ["--json"]):
        assert CliRunner().invoke(cli, ["console", *words]).exit_code == 2


def test_without_a_terminal_it_says_what_to_do_instead(bench):
    done = subprocess.run(
        [COMMAND, "console", "--port", bench.port.path],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1 and "ask single questions with --json" in done.stderr
