"""A whole flash image onto the board on a port, by esptool: the right chip and size first, then written and compared.

The image is what `thermokeeper image build` makes. esptool shows its progress, and has the chip compare the MD5 of
what is in flash with that of the image. It works in this process, for the one board that a person looks at; for
several at once, each with its silent esptool, there is `factory.ports`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import serial
from esptool import cmds
from esptool.targets import CHIP_DEFS
from esptool.util import FatalError, flash_size_bytes

from thermokeeper.board import port as ports
from thermokeeper.errors import ToolError
from thermokeeper.files import read_bytes
from thermokeeper.image.describe import describe

ATTEMPTS = 7  # to reach the ROM; each takes about a second


def flash(image: Path, port: str, baud: int, erase: bool) -> str:
    """Write the image and restart the board; what was done, for a person."""
    data, chip = _read(image)
    ports.check_port(port)
    esp: Any = None
    try:
        esp = cmds.connect_esp(port, connect_attempts=ATTEMPTS)
        found, wanted = esp.CHIP_NAME, CHIP_DEFS[chip].CHIP_NAME
        if found != wanted:
            raise ToolError(f"{image} is for the {wanted}, the board on {port} has an {found}")
        esp = cmds.run_stub(esp)
        if baud != ports.BAUD:
            esp.change_baud(baud)
        cmds.attach_flash(esp)
        size = cmds.detect_flash_size(esp)
        if size and flash_size_bytes(size) < len(data):
            raise ToolError(f"{image} is for {len(data) >> 20} MiB of flash, the board on {port} has {size}")
        cmds.write_flash(esp, [(0, data)], erase_all=erase)
        cmds.reset_chip(esp)
    except FatalError as error:
        raise ToolError(f"{port}: {_first_line(error)}") from None
    except (serial.SerialException, OSError) as error:
        raise ports.lost(port, error) from None
    finally:
        if esp is not None and esp._port is not None:
            esp._port.close()
    return f"{image} is on the board on {port}, {len(data)} bytes, read back and right"


def _read(image: Path) -> tuple[bytes, str]:
    """The image and the chip that it is for."""
    data = read_bytes(image, "a flash image made by `thermokeeper image build`")
    try:
        about = describe(data)
    except ToolError as error:
        raise ToolError(f"{image} isn't a flash image made by `thermokeeper image build`: {error}") from None
    if not about["bootloader"]:
        raise ToolError(f"{image} has no bootloader; make it anew with `thermokeeper image build`")
    if "error" in about["factory"]:
        raise ToolError(f"{image} would give the board no serial: {about['factory']['error']}")
    return data, str(about["bootloader"]["chip"])


def _first_line(error: FatalError) -> str:
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), "esptool gave up")
    if "No serial data received" in text or "Failed to connect" in text:
        return "no chip answers; hold the button BOOT while it starts, and look whether the port is the board's"
    return text
