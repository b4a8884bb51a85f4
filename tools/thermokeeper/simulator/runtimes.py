"""What a board's code runs on for one life, from the bootloader's jump to the next reset: a process, or this thread.

A life hands the board the lines that its console says and its hardware tells, and returns in a word how it ended;
what follows from that is the board's business. A process tells of its hardware on a pipe, the control channel, and
reads the world from a file.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from thermokeeper.programs import program
from thermokeeper.simulator import console, shimcode

if TYPE_CHECKING:
    from thermokeeper.simulator.board import Board
    from thermokeeper.simulator.sandbox import Sandbox

_POLL_S = 0.05
# what the control channel says last
_ENDS = ("cut", "reset", "soft", "deepsleep", "panic:", "repl", "vfs", "watchdog")


class Life:
    """From the bootloader's jump to the next reset. `run` returns how it ended."""

    _halted = False  # perhaps before it has begun to run

    def __init__(self, board: Board, cause: int) -> None:
        self.board = board
        self.cause = cause

    def run(self) -> str:
        raise NotImplementedError

    def halt(self) -> None:
        raise NotImplementedError

    def type(self, text: str) -> None:
        raise NotImplementedError


class ProcessLife(Life):
    """A life in a process of its own, killed where a board would lose power."""

    process: subprocess.Popen[bytes] | None = None

    def run(self) -> str:
        board = self.board
        read_end, write_end = os.pipe()
        with tempfile.NamedTemporaryFile(prefix="thermokeeper-world-") as world_file:
            number = 0

            def write_world() -> None:
                nonlocal number
                number += 1
                data = board.world.encode(number)
                os.ftruncate(world_file.fileno(), max(len(data), 1))
                os.pwrite(world_file.fileno(), data, 0)

            write_world()
            board.world.on_change(write_world)
            try:
                self.process = self._start(write_end, self._environment(write_end, world_file.name))
                os.close(write_end)
                if self._halted:
                    self.halt()
                return self._listen(self.process, read_end)
            finally:
                board.world.forget(write_world)
                os.close(read_end)
                if self.process:
                    self._kill(self.process)

    def _start(self, control: int, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(control,),
            env=environment,
            cwd=tempfile.gettempdir(),
            start_new_session=True,
        )

    def _command(self) -> list[str]:
        if self.board.runtime == "micropython":
            return [
                str(program("micropython")),
                "-X",
                f"heapsize={shimcode.heap_bytes(self.board.heap)}",
                "-m",
                "_simstart",
            ]
        return [sys.executable, "-m", "thermokeeper.simulator.life"]

    def _environment(self, control: int, world: str) -> dict[str, str]:
        board = self.board
        environment = {
            **os.environ,
            "TK_SIM_FLASH": str(board.flash.resolve()),
            "TK_SIM_CONTROL": str(control),
            "TK_SIM_WORLD": world,
            "TK_SIM_RUNNING": board.slot or "",
            "TK_SIM_CAUSE": str(self.cause),
            "TK_SIM_OPERATIONS": str(len(board.operations)),
            "TK_SIM_RTC": board.rtc.hex(),
            "TK_SIM_CLOCK": "" if board.clock is None else str(board.clock),
            "TK_SIM_SPEED": str(board.speed),
            "TK_SIM_MEMORY": board.memory_of,
            "TK_SIM_ORIGIN": str(board.origin_s),
        }
        if board.runtime == "micropython":
            environment["MICROPYPATH"] = f"{shimcode.compiled_folder()}:.frozen"
        return environment

    def _listen(self, process: subprocess.Popen[bytes], control: int) -> str:
        board = self.board
        assert process.stdout
        end = ""
        said, told = bytearray(), bytearray()
        wdt_s, fed_s = 0.0, 0.0
        at_repl = gone = False
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ, said)
            selector.register(control, selectors.EVENT_READ, told)
            while selector.get_map():
                ready = selector.select(0 if gone else _POLL_S)
                for key, _ in ready:
                    data = os.read(key.fd, 65536)
                    if not data:
                        selector.unregister(key.fileobj)
                        continue
                    key.data.extend(data)
                    if key.data is said:
                        for line in _lines(said):
                            board.tell("console", line)
                        continue
                    for line in _lines(told):
                        word, _, rest = line.partition(" ")
                        if word == "wdt":
                            wdt_s, fed_s = int(rest) / 1000 / board.speed, time.monotonic()
                        elif word == "fed":
                            fed_s = time.monotonic()
                        elif word in _ENDS:
                            end = line
                        else:
                            board.heard(line)
                at_repl = end == "repl"
                if board.stopped:
                    self._kill(process)
                # The board tells of its feedings only every now and then.
                elif wdt_s and not end and time.monotonic() - fed_s > wdt_s + min(0.25, wdt_s / 4) + _POLL_S:
                    end = "watchdog"
                    self._kill(process)
                elif not ready:
                    if gone:
                        break
                    gone = process.poll() is not None  # it may have said something since it was listened to
        if said:
            board.tell("console", said.decode(errors="replace"))
        status = process.wait()
        if at_repl and wdt_s and not board.stopped:
            # Nobody feeds the watchdog at the prompt.
            board.sleep(int(max(0.0, fed_s + wdt_s - time.monotonic()) * 1000 * board.speed))
            return "watchdog"
        return end or f"panic: the interpreter ended with status {status}"

    def halt(self) -> None:
        self._halted = True
        if self.process:
            self._kill(self.process)

    def type(self, text: str) -> None:
        if self.process and self.process.stdin:
            console.feed(self.process.stdin.fileno(), text)

    @staticmethod
    def _kill(process: subprocess.Popen[bytes]) -> None:
        if process.poll() is None:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # gone by itself in between


class HereLife(Life):
    """A life in this process and thread."""

    _sandbox: Sandbox | None = None

    def run(self) -> str:
        from thermokeeper.simulator.sandbox import Sandbox

        self._sandbox = Sandbox(self.board, self.cause)
        if self._halted:  # while that was made
            self._sandbox.halt()
        return self._sandbox.run()

    def halt(self) -> None:
        self._halted = True
        if self._sandbox:
            self._sandbox.halt()

    def type(self, text: str) -> None:
        if self._sandbox:
            self._sandbox.type(text)


def _lines(buffer: bytearray) -> Iterator[str]:
    """Take the whole lines out of a buffer."""
    while (end := buffer.find(b"\n")) >= 0:
        line = bytes(buffer[:end])
        del buffer[: end + 1]
        yield line.rstrip(b"\r").decode(errors="replace")
