"""A board on a port: who it is, its flash written and read back, what it says. esptool and pyserial do it.

esptool runs as a program of its own: its display is one for a whole process, and several boards are flashed at once.
"""

import logging
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Protocol

from thermokeeper.board.port import BAUD, check_port
from thermokeeper.errors import ToolError
from thermokeeper.image.builder import Piece

_log = logging.getLogger(__name__)

_CONNECT_LIMIT_S = 60
_WRITE_LIMIT_S = 900
_RESET_S = 0.1
_TRIES = 3  # each command leaves the same however often: a byte lost on the line is no reason to put a board aside
_MAC = re.compile(r"^(?:BASE )?MAC: +((?:[0-9a-f]{2}:){5}[0-9a-f]{2})$", re.MULTILINE | re.IGNORECASE)
_OTHER_CHIP = "This chip is "  # how esptool's reason begins: it stays so
_FATAL = re.compile(r"(?:Error: )?(?:A fatal error occurred|Error): (.+)", re.IGNORECASE)


class BoardPort(Protocol):
    """What the factory asks of a port; each refusal is a ToolError."""

    name: str

    def identify(self, chip: str) -> str:
        """The MAC address of the board, which has to have this chip."""

    def write(self, pieces: list[Piece]) -> None:
        """Write these, each compared with what then stands in the flash."""

    def read(self, offset: int, size: int) -> bytes:
        """What stands in the flash."""

    def console(self, limit_s: float) -> Iterator[str]:
        """The lines that the board says from a reset on, until the time is over."""


class SerialPort:
    """A port as pyserial names it. options: for esptool, like `--no-stub`."""

    def __init__(self, name: str, baud: int = 460_800, options: tuple[str, ...] = ()) -> None:
        self.name = name
        self._baud = baud
        self._options = options
        self._chip = "auto"

    def identify(self, chip: str) -> str:
        check_port(self.name)
        self._chip = chip
        told = self._esptool(_CONNECT_LIMIT_S, "read-mac")
        found = _MAC.search(told)
        if not found:
            raise ToolError(f"{self.name}: esptool doesn't tell the board's MAC address")
        return found[1].lower()

    def write(self, pieces: list[Piece]) -> None:
        with tempfile.TemporaryDirectory(prefix="thermokeeper-") as folder:  # mode 0700: a record is among them
            arguments = []
            for piece in pieces:
                path = Path(folder, f"{piece.name}.bin")
                path.write_bytes(piece.data)
                arguments += [f"{piece.offset:#x}", str(path)]
            self._esptool(_WRITE_LIMIT_S, "write-flash", "--flash-size", "keep", *arguments)

    def read(self, offset: int, size: int) -> bytes:
        with tempfile.TemporaryDirectory(prefix="thermokeeper-") as folder:
            path = Path(folder, "read.bin")
            self._esptool(_CONNECT_LIMIT_S, "read-flash", f"{offset:#x}", f"{size:#x}", str(path))
            return path.read_bytes()

    def console(self, limit_s: float) -> Iterator[str]:
        from serial import SerialException

        try:
            yield from self._lines(limit_s)
        except (SerialException, OSError) as error:
            raise ToolError(f"{self.name}: the console can't be read: {error}") from None

    def _lines(self, limit_s: float) -> Iterator[str]:
        import serial

        port = serial.serial_for_url(self.name, BAUD, timeout=0.2, do_not_open=True)
        port.dtr = port.rts = False  # both at rest, or opening holds the board in reset
        with closing(port):
            port.open()
            _reset(port)
            deadline_s = time.monotonic() + limit_s
            begun = b""
            while time.monotonic() < deadline_s:
                begun += port.read(max(1, port.in_waiting))
                *lines, begun = begun.split(b"\n")
                yield from (line.decode(errors="replace").strip("\r") for line in lines)

    def _esptool(self, limit_s: float, command: str, *arguments: str) -> str:
        """What esptool says, at a later try if the first ones failed; ToolError with the last one's reason."""
        for pause_s in range(1, _TRIES + 1):
            try:
                done = self._run(limit_s, command, *arguments)
            except subprocess.TimeoutExpired:
                raise ToolError(f"{self.name}: esptool {command} takes longer than {limit_s} s") from None
            told = done.stdout + done.stderr
            if done.returncode == 0:
                return told
            # rich breaks lines where a terminal would end: the first sentence is what matters
            found = _FATAL.search(told)
            reason = found[1].strip() if found else "esptool gives no reason"
            if reason.startswith(_OTHER_CHIP) or pause_s == _TRIES:
                break
            _log.warning("%s: esptool %s: %s; tried again in %d s", self.name, command, reason, pause_s)
            time.sleep(pause_s)
        raise ToolError(f"{self.name}: esptool {command}: {reason}")

    def _run(self, limit_s: float, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "esptool", "--chip", self._chip, "--port", self.name, "--baud", str(self._baud)]
        line += [*self._options, "--after", "no-reset", command, *arguments]
        return subprocess.run(
            line, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit_s, check=False
        )


def _reset(port: object) -> None:
    """A short pulse on the line that holds the chip in reset; without such lines it has started anyhow."""
    try:
        port.rts = True  # type: ignore[attr-defined]
        time.sleep(_RESET_S)
        port.rts = False  # type: ignore[attr-defined]
    except OSError:
        pass
