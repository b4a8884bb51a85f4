"""The serial port that a board is on: found if it is the only one, opened, and every trouble with it in one line.

A port is whatever pyserial opens: /dev/ttyUSB0, COM3, socket://host:port, rfc2217://host:port.
"""

from __future__ import annotations

import errno
import os

import serial
from serial.tools import list_ports

from thermokeeper.errors import ToolError

BAUD = 115200  # of MicroPython's console, and of the chip's ROM
_WRITE_S = 10


def chosen(name: str | None) -> str:
    """The port by that name, or the only one that a USB device is on."""
    if name:
        return name
    found = sorted(port.device for port in list_ports.comports() if port.vid is not None)
    if len(found) != 1:
        raise ToolError(
            f"more than one port has a USB device; choose with --port: {', '.join(found)}"
            if found
            else "no board is connected by USB; if it is connected otherwise, say where with --port"
        )
    return found[0]


def open_port(name: str, timeout_s: float) -> serial.SerialBase:
    """The port, opened for this program alone; ToolError says what is in the way."""
    write_timeout_s = None if name.startswith("rfc2217:") else _WRITE_S  # which has none
    try:
        return serial.serial_for_url(name, BAUD, timeout=timeout_s, write_timeout=write_timeout_s, exclusive=True)
    except (serial.SerialException, OSError, ValueError) as error:
        raise ToolError(_why(name, error)) from None


def check_port(name: str) -> None:
    """ToolError unless the port can be opened."""
    open_port(name, 1).close()


def lost(name: str, error: Exception) -> ToolError:
    """What to say when a port that was open fails."""
    return ToolError(f"{name}: the connection is lost ({str(error).splitlines()[0]}); is the cable in its place?")


def _why(name: str, error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number == errno.ENOENT or "FileNotFoundError" in str(error):
        known = [port.device for port in list_ports.comports() if port.vid is not None]
        return f"there is no port {name}; " + (
            f"connected by USB: {', '.join(known)}" if known else "none is connected"
        )
    if number in (errno.EAGAIN, errno.EBUSY) or "xclusively lock" in str(error):
        return f"{name} is in use by another program; close the terminal or tool that has it open"
    if number in (errno.EACCES, errno.EPERM) or "PermissionError" in str(error):
        hint = (
            "on Linux: add yourself to the group of the file, often dialout" if os.name == "posix" else "is it in use?"
        )
        return f"{name}: no permission to open it; {hint}"
    if isinstance(error, ValueError):
        return f"{name} isn't a port: {error}"
    return f"{name} can't be opened: {str(error).splitlines()[0]}"
