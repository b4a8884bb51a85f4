"""A port as the factory uses it, through the real esptool and pyserial: a mock bootloader on a pseudo terminal.

The mock knows no application, so what a board says comes from another pseudo terminal.
"""

from __future__ import annotations

import os
import subprocess
import threading
import tty
from collections.abc import Iterator

import pytest

from mock_rom import Rom
from thermokeeper.errors import ToolError
from thermokeeper.factory.ports import SerialPort
from thermokeeper.factory.stock import Stock
from thermokeeper.image.builder import Piece


@pytest.fixture
def mock() -> Iterator[str]:
    """The port of an ESP32 that waits in its bootloader."""
    rom = Rom("esp32", fills=0xFF)
    yield rom.path
    rom.close()


class Says:
    """A pseudo terminal on which a board says these lines, over and over."""

    def __init__(self, *lines: str) -> None:
        self._master, slave = os.openpty()
        tty.setraw(slave)
        self.path = os.ttyname(slave)
        self._slave = slave
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._say, args=(lines,), daemon=True)
        self._thread.start()

    def _say(self, lines: tuple[str, ...]) -> None:
        while not self._over.wait(0.05):
            os.write(self._master, "".join(line + "\r\n" for line in lines).encode())

    def close(self) -> None:
        self._over.set()
        self._thread.join(5)
        os.close(self._master)
        os.close(self._slave)


def test_what_esptool_writes_is_what_it_reads_back(mock):
    port = SerialPort(mock)
    assert port.identify("esp32") == port.identify("esp32") == "24:0a:c4:e2:95:26"
    content = bytes(range(256)) * 48
    port.write([Piece("vfs", 0x3B1000, content), Piece("factory", 0x3B0000, b"TKFACT01".ljust(4096, b"\xff"))])
    assert port.read(0x3B1000, len(content)) == content
    assert port.read(0x3B0000, 8) == b"TKFACT01"


def test_another_chip_is_refused(mock, monkeypatch):
    tries = []
    monkeypatch.setattr(SerialPort, "_run", lambda *arguments: tries.append(1) or _RUN(*arguments))
    with pytest.raises(ToolError, match="esptool read-mac: This chip is ESP32, not ESP32-S3"):
        SerialPort(mock).identify("esp32s3")
    assert tries == [1]


def test_a_byte_lost_on_the_line_is_made_good_by_another_try(mock, monkeypatch):
    lost = iter([True, False, True, True, False])

    def run(port: SerialPort, limit_s: float, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        if next(lost):
            reason = "A fatal error occurred: Packet content transfer stopped"
            return subprocess.CompletedProcess((), 2, stdout="", stderr=reason)
        return _RUN(port, limit_s, command, *arguments)

    monkeypatch.setattr(SerialPort, "_run", run)
    monkeypatch.setattr("thermokeeper.factory.ports.time.sleep", lambda pause_s: None)
    port = SerialPort(mock)
    assert port.identify("esp32") == "24:0a:c4:e2:95:26"
    port.write([Piece("factory", 0x3B0000, b"TKFACT01".ljust(4096, b"\xff"))])
    lost = iter([True, True, True])
    with pytest.raises(ToolError, match="esptool read-flash: Packet content transfer stopped"):
        port.read(0x3B0000, 8)


def test_a_port_that_isnt_there_is_one_line():
    with pytest.raises(ToolError, match="there is no port /dev/ttyNowhere"):
        SerialPort("/dev/ttyNowhere").identify("esp32")


def test_a_console_gives_whole_lines_until_the_time_is_over():
    console = Says("tk: identity: thermometer, serial S1", "tk: reading: 21.13 C")
    lines = list(SerialPort(console.path).console(1))
    console.close()
    assert set(lines[1:]) == {"tk: identity: thermometer, serial S1", "tk: reading: 21.13 C"}


def test_a_board_is_made_through_esptool(factory, pattern, mock):
    factory.new("first", "--pattern", pattern, "--count", 1)
    serial = "THERM00000000000001"
    console = Says(f"tk: identity: thermometer, serial {serial}", "tk: reading: 21.13 C")

    class Port(SerialPort):
        def console(self, limit_s: float) -> Iterator[str]:
            return SerialPort(console.path).console(limit_s)

    port = Port(mock)
    made = factory.line("first").make(port)
    console.close()
    assert made.serial == serial and made.mac == "24:0a:c4:e2:95:26"
    assert factory.journal.steps(serial).keys() == {"made", "flashed", "verified", "tested", "labelled"}
    journal = factory.journal
    stock = Stock(factory.folder / "batches" / "first", journal.plan("first"))
    for piece in stock.pieces(made):
        assert port.read(piece.offset, min(len(piece.data), 0x4000)) == piece.data[:0x4000], piece.name


def test_the_command_makes_a_board_and_says_so(factory, pattern, mock, monkeypatch):
    factory.new("first", "--pattern", pattern, "--count", 1)
    console = Says("tk: identity: thermometer, serial THERM00000000000001", "tk: reading: 21.13 C")
    monkeypatch.setattr(SerialPort, "_lines", lambda self, limit_s: _lines(SerialPort(console.path), limit_s))
    said = factory.tool("run", "first", "--port", mock, "--unregistered-ok")
    console.close()
    assert [line.rpartition(" ")[2] for line in said.splitlines()] == ["flashed", "verified", "tested", "labelled"]
    assert "THERM00000000000001  24:0a:c4:e2:95:26  labelled, not registered" in factory.tool("status", "first")


_lines = SerialPort._lines
_RUN = SerialPort._run
