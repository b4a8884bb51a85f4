"""What a board's code runs on for one life, from the bootloader's jump to the next reset: a process, or this thread.

A life hands the board the lines that its console says and its hardware tells, and returns in a word how it ended;
what follows from that is the board's business. A process tells of its hardware on a pipe, the control channel, and
reads the world from a file.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from thermokeeper import unix_port
from thermokeeper.simulator import console, shimcode

if TYPE_CHECKING:
    from thermokeeper.simulator.board import Board
    from thermokeeper.simulator.on_cpython.sandbox import Sandbox

_POLL_S = 0.05
# what the control channel says last
_ENDS = ("cut", "brownout", "reset", "soft", "deepsleep", "panic:", "repl", "vfs", "watchdog", "time")


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
    _go: int | None = None  # in virtual time: what is written here lets the board go on

    def run(self) -> str:
        if not self.board.virtual_time:
            return self._run({}, ())
        turns, self._go = os.pipe()
        environment = {"TK_SIM_GO": str(turns), "TK_SIM_SKIPPED": str(self.board.pauses.now_ms)}
        if self.board.until_ms is not None:
            environment["TK_SIM_UNTIL"] = str(self.board.until_ms)
        try:
            return self._run(environment, (turns,))
        finally:
            os.close(self._go)
            self._go = None

    def _run(self, more: dict[str, str], handed_on: tuple[int, ...]) -> str:
        """more: environment, handed_on: pipes of the board beside the control channel."""
        board = self.board
        read_end, write_end = os.pipe()
        with tempfile.NamedTemporaryFile(prefix="thermokeeper-world-") as world_file:
            version = 0

            def write_world() -> None:
                nonlocal version
                version += 1
                data = board.world.encode(version)
                os.ftruncate(world_file.fileno(), max(len(data), 1))
                os.pwrite(world_file.fileno(), data, 0)

            write_world()
            board.world.on_change(write_world)
            try:
                environment = {**self._environment(write_end, world_file.name), **more}
                self.process = self._start((write_end, *handed_on), environment)
                for number in (write_end, *handed_on):
                    os.close(number)
                if self._halted:
                    self.halt()
                return self._listen(self.process, read_end)
            finally:
                board.world.forget(write_world)
                os.close(read_end)
                if self.process:
                    self._kill(self.process)

    def _start(self, handed_on: tuple[int, ...], environment: dict[str, str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=handed_on,
            env=environment,
            cwd=tempfile.gettempdir(),
            start_new_session=True,
        )

    def _command(self) -> list[str]:
        if self.board.runtime == "micropython":
            return unix_port.command("-m", "_simstart", heap_bytes=shimcode.heap_bytes(self.board.heap))
        return [sys.executable, "-m", "thermokeeper.simulator.on_cpython.life"]

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
            "TK_SIM_MEMORY": board.memory_of,
            "TK_SIM_ORIGIN": str(board.origin_s),
            "TK_SIM_WDT": str(board.wdt_ms or ""),
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
                    data = _read(key.fd)
                    if data is None:
                        continue  # a turn has taken it already
                    if not data:
                        selector.unregister(key.fileobj)
                        continue
                    key.data.extend(data)
                    if key.data is said:
                        if self._go is None:  # else it waits for the turn, which tells the time
                            self._tell(said)
                        continue
                    for line in _lines(told):
                        word, _, rest = line.partition(" ")
                        if word == "turn":
                            while more := _read(process.stdout.fileno()):
                                said.extend(more)
                            board.follow(*map(int, rest.split()))
                            self._tell(said)
                            self._let_go_on()
                        elif word == "wdt":
                            board.wdt_ms = int(rest)
                            wdt_s, fed_s = int(rest) / 1000, time.monotonic()
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
                elif self._go is not None:
                    if not ready:
                        if gone:
                            break
                        gone = process.poll() is not None
                elif wdt_s and not end and time.monotonic() - fed_s > wdt_s + min(0.25, wdt_s / 4) + _POLL_S:
                    end = "watchdog"
                    self._kill(process)
                elif not ready:
                    if gone:
                        break
                    gone = process.poll() is not None  # it may have said something since it was listened to
        self._tell(said)
        if said:
            board.tell("console", said.decode(errors="replace"))
        status = process.wait()
        if at_repl and wdt_s and not board.stopped:
            # Nobody feeds the watchdog at the prompt.
            left_s = wdt_s if self._go is not None else max(0.0, fed_s + wdt_s - time.monotonic())
            board.sleep(int(left_s * 1000))
            return "watchdog"
        return end or f"panic: the interpreter ended with status {status}"

    def _tell(self, said: bytearray) -> None:
        for line in _lines(said):
            self.board.tell("console", line)

    def _let_go_on(self) -> None:
        if self._go is not None and not self.board.stopped:
            with contextlib.suppress(BrokenPipeError):  # it has ended meanwhile
                os.write(self._go, b".")

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
        from thermokeeper.simulator.on_cpython.sandbox import Sandbox

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


def _read(number: int) -> bytes | None:
    """What is there to be read of a pipe; None for nothing yet, b"" at its end."""
    os.set_blocking(number, False)
    try:
        return os.read(number, 65536)
    except BlockingIOError:
        return None


def _lines(buffer: bytearray) -> Iterator[str]:
    """Take the whole lines out of a buffer."""
    while (end := buffer.find(b"\n")) >= 0:
        line = bytes(buffer[:end])
        del buffer[: end + 1]
        yield line.rstrip(b"\r").decode(errors="replace")
