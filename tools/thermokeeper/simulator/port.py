"""A simulated board on a serial port: a pseudo terminal that pyserial, mpremote or a terminal program opens.

    with Port() as port:
        board = BoardOnPort(flash, port)

As on a real board, Ctrl-C stops the program and there is MicroPython's prompt, raw mode and all; a reset goes through
the bootloader, and the port stays. What nobody reads is lost. Only on unix MicroPython, and only where there are
pseudo terminals (not on Windows).
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import subprocess
import tempfile
import termios
import threading
import time
import tty
from pathlib import Path

from thermokeeper import unix_port
from thermokeeper.simulator import shimcode
from thermokeeper.simulator.board import MEMORY, SOFT_RESET, Board
from thermokeeper.simulator.runtimes import Life, ProcessLife
from thermokeeper.simulator.world import World

_BLOCK = 4096
_POLL_S = 0.1
_RAW, _FRIENDLY, _INTERRUPT = b"\x01", b"\x02", b"\x03"  # Ctrl-A, Ctrl-B, Ctrl-C
_PROMPT = b">>> "
# Unix MicroPython ends at a second Ctrl-C when it hasn't seen the first; a board doesn't. That it has seen it shows in
# what it says then, and in nothing else that it says meanwhile; the raw prompt says nothing.
_SEEN = (b"KeyboardInterrupt", _PROMPT, b"raw REPL")
_INTERRUPTS_APART_S = 1.0
_INTERRUPT_SEEN_S = 5.0


class Port:
    """The cable: `path` is what the host opens; the board that runs at the moment is at the other end."""

    def __init__(self) -> None:
        self._near, self._far = os.openpty()
        tty.setraw(self._far)
        self.path = os.ttyname(self._far)
        os.set_blocking(self._near, False)
        self._lock = threading.Lock()
        self._telling = threading.Lock()
        self._board: int | None = None
        self._lives = 0
        self._last = b""
        self._interrupted_s = 0.0
        self._answered = threading.Event()  # the last Ctrl-C was seen
        self._answered.set()
        self._said = b""  # the end of what was said since it
        self.raw = False  # whether the prompt was last asked to be the raw one
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._carry, name="cable", daemon=True)
        self._thread.start()

    def __enter__(self) -> Port:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Pull it out."""
        self._over.set()
        self._thread.join()
        with self._telling:
            os.close(self._near)
            os.close(self._far)

    def attach(self, board: int) -> None:
        """What is typed goes to this file descriptor from now on; what was on its way is lost."""
        self._answered.set()  # this board was asked nothing yet
        with self._lock:
            self._board = board
            self._lives += 1
            with contextlib.suppress(BlockingIOError):
                while os.read(self._near, _BLOCK):
                    pass

    def detach(self, board: int) -> None:
        """No more; unless another is attached already."""
        with self._lock:
            if self._board == board:
                self._board = None

    def tell(self, data: bytes) -> None:
        """Send what the board says; its lines end in CR LF."""
        whole = re.sub(rb"(?<!\r)\n", b"\r\n", self._last + data)[len(self._last) :]
        self._last = b"\r" if data.endswith(b"\r") else b""
        self._said = (self._said + data)[-_BLOCK:]
        if any(words in self._said for words in _SEEN):
            self._answered.set()
        with self._telling, contextlib.suppress(BlockingIOError):
            if not self._over.is_set():  # else the descriptor may be somebody else's by now
                os.write(self._near, whole)

    def seen(self) -> bool:
        """Whether the board has seen the last Ctrl-C, or there was none in this life."""
        return self._answered.is_set()

    def _carry(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._near, selectors.EVENT_READ)
            while not self._over.is_set():
                if not selector.select(_POLL_S):
                    continue
                with self._lock:
                    life = self._lives
                    try:
                        data = os.read(self._near, _BLOCK)
                    except BlockingIOError:
                        continue
                for typed in re.split(rb"([\x01-\x03])", data):
                    self._hand_on(typed, life)

    def _hand_on(self, typed: bytes, life: int) -> None:
        """To the board, unless it has started anew while this was on its way."""
        if typed in (_RAW, _FRIENDLY):
            self.raw = typed == _RAW
        elif typed == _INTERRUPT:
            self._answered.wait(max(0.0, self._interrupted_s + _INTERRUPT_SEEN_S - time.monotonic()))
            time.sleep(max(0.0, self._interrupted_s + _INTERRUPTS_APART_S - time.monotonic()))
            self._interrupted_s = time.monotonic()
            self._said = b""
            self._answered.clear()
        with self._lock, contextlib.suppress(OSError):  # it was switched off just now
            if self._board is not None and life == self._lives:
                os.write(self._board, typed)


class BoardOnPort(Board):
    """A board whose console is a port; everything else is as for any `Board`."""

    def __init__(
        self, flash: Path, port: Port, world: World | None = None, heap: str = "256k", memory: str = MEMORY
    ) -> None:
        super().__init__(flash, world, "micropython", heap, memory=memory)
        self.port = port

    def _new_life(self, cause: int) -> Life:
        return _PortLife(self, cause)


class _PortLife(ProcessLife):
    board: BoardOnPort

    def run(self) -> str:
        end = super().run()
        # Ctrl-D at the prompt ends the interpreter here, where a board makes a soft reset
        return "soft reset" if end == "panic: the interpreter ended with status 0" else end

    def _command(self) -> list[str]:
        heap_bytes = shimcode.heap_bytes(self.board.heap)
        return unix_port.command("-i", "-c", "import _simprompt", heap_bytes=heap_bytes)

    def _start(self, handed_on: tuple[int, ...], environment: dict[str, str]) -> subprocess.Popen[bytes]:
        port = self.board.port
        soft = self.cause == SOFT_RESET
        port.raw = port.raw and soft
        if soft:
            port.tell(b"MPY: soft reboot\r\n")
        console, terminal = os.openpty()
        _as_a_board_s_console(terminal)
        read_end, write_end = os.pipe()
        # whoever begins a session and opens a terminal first has it: Ctrl-C then is an interrupt
        process = subprocess.Popen(
            ["sh", "-c", 'exec "$@" <"$0" >"$0" 2>&1', os.ttyname(terminal), *self._command()],
            stdin=subprocess.DEVNULL,
            pass_fds=handed_on,
            env={**environment, "TERM": "dumb", "TK_SIM_RAW": "1" if port.raw else ""},
            cwd=tempfile.gettempdir(),
            start_new_session=True,
        )
        process.stdout = os.fdopen(read_end, "rb", buffering=0)
        self._console = console
        port.attach(console)
        ends = (console, terminal, write_end)
        threading.Thread(target=self._carry, args=(process, port.raw, *ends), name="console", daemon=True).start()
        return process

    def _carry(self, process: subprocess.Popen[bytes], raw: bool, console: int, terminal: int, said: int) -> None:
        """Hand on what the board says, to the port and to the runner, until it is off and all is said.

        raw: the prompt, once it is there, has to be the raw one again: a board's stays so across a soft reset.
        """
        with selectors.DefaultSelector() as selector, contextlib.suppress(BrokenPipeError):
            selector.register(console, selectors.EVENT_READ)
            last = b""
            while selector.select(_POLL_S) or process.poll() is None:
                if selector.select(0):
                    data = os.read(console, _BLOCK)
                    # what programs talk among themselves is nothing to read; asked before the port is told, for what
                    # it hears there is what makes a program leave the raw prompt
                    among_programs = self.board.port.raw
                    self.board.port.tell(data)
                    if not among_programs:
                        os.write(said, data)
                    last = (last + data)[-len(_PROMPT) :]
                    if raw and last == _PROMPT:
                        os.write(console, _RAW)
                        raw = False
        self.board.port.detach(console)
        for number in (console, terminal, said):
            os.close(number)

    def type(self, text: str) -> None:
        with contextlib.suppress(OSError):
            os.write(self._console, text.encode())


def _as_a_board_s_console(terminal: int) -> None:
    """Characters at once and without echo; Ctrl-C interrupts."""
    tty.setraw(terminal)
    modes = termios.tcgetattr(terminal)
    modes[3] |= termios.ISIG
    modes[6][termios.VSUSP] = modes[6][termios.VQUIT] = b"\0"
    termios.tcsetattr(terminal, termios.TCSANOW, modes)
