"""A MicroPython firmware file as it is published: which chip, its application image, its bootloader if it has one.

Two kinds are published. The whole firmware (`ESP32_GENERIC-*.bin`) begins with the bootloader and is written at
an offset that the chip's ROM gives; the application alone is `*.app-bin`. Both are recognised by what is in them, not
by name. What a release makes of it is not known here.
"""

import contextlib
import io
import re
from dataclasses import dataclass
from pathlib import Path

from esptool.bin_image import LoadFirmwareImage
from esptool.targets import CHIP_DEFS
from esptool.util import FatalError

from keeper.errors import ReleaseError
from keeper.imaging import image
from keeper.release import MAGIC
from thermokeeper.errors import ToolError
from thermokeeper.files import read_bytes
from thermokeeper.formats.partitions import TABLE_OFFSET, TABLE_SIZE, read_binary
from thermokeeper.release import bootloader as bootloader_code
from thermokeeper.release import secureboot

ROLLBACK_SINCE = (1, 21)  # of MicroPython: in ports/esp32/boards/sdkconfig.base; before, some boards had it themselves
_DESCRIPTION = b"\x32\x54\xcd\xab"  # esp_app_desc_t, first in the first segment of every application


@dataclass(frozen=True)
class Firmware:
    """What was found in a firmware file. `bootloader` is None for an application alone.

    `application` is all of it: with a signature for Secure Boot v2 also the sector that this is in.
    """

    path: Path
    chip: str
    application: bytes
    bootloader: bytes | None
    bootloader_signed: bool = False  # for Secure Boot v2: `bootloader` is without the signature

    @property
    def interpreter(self) -> str | None:
        """What MicroPython says of itself, like "MicroPython v1.25.0 on 2025-04-15"; None if it can't be found."""
        return interpreter_of(self.application)

    @property
    def rolls_back(self) -> bool | None:
        """Whether its bootloader goes back to the old application if a new one fails; None if that can't be told.

        False only if code and version agree: a compiler that writes the code otherwise must not look like a setting.
        """
        if self.bootloader is None:
            return None
        found = bootloader_code.rolls_back(self.bootloader, self.chip)
        version = interpreter_version(self.application)
        return None if found is False and (version is None or version >= ROLLBACK_SINCE) else found


def reader(data: bytes):  # type: ignore[no-untyped-def]
    """`read(offset, buf)` of keeper.image over bytes."""

    def read(offset: int, buf: bytearray) -> None:
        piece = data[offset : offset + len(buf)]
        if len(piece) != len(buf):
            raise ReleaseError("the image is cut off")
        buf[:] = piece

    return read


def bootloader_offset(chip: str) -> int:
    """Flash offset at which the chip's ROM looks for the bootloader."""
    return int(CHIP_DEFS[chip].BOOTLOADER_FLASH_OFFSET)


def interpreter_of(application: bytes) -> str | None:
    """The version text inside an application image of MicroPython."""
    found = re.search(rb"MicroPython (v[0-9][0-9A-Za-z.\-]{0,40}) on ([0-9]{4}-[0-9]{2}-[0-9]{2})", application)
    return found[0].decode() if found else None


def interpreter_version(application: bytes) -> tuple[int, int] | None:
    """(major, minor) of the MicroPython inside, None if it doesn't say."""
    text = interpreter_of(application)
    found = re.search(r"v([0-9]+)\.([0-9]+)", text) if text else None
    return (int(found[1]), int(found[2])) if found else None


def read_firmware(path: Path) -> Firmware:
    """Read and check a firmware file of either kind; ToolError says what the file is instead."""
    data = read_bytes(path, "a MicroPython firmware file for the ESP32 (.bin or .app-bin)")
    if data.startswith(MAGIC):
        raise ToolError(f"{path} is a release file, not a MicroPython firmware; give the .bin of MicroPython itself")
    for skipped in (0x1000, 0x2000):  # a dump of the flash from 0, as the chips that boot from further on have it
        if data[0] == 0xFF and len(data) > skipped and data[:skipped].count(0xFF) == skipped and data[skipped] == 0xE9:
            data = data[skipped:]
            break
    try:
        chip = image.chip_of(data.ljust(image.HEADER_SIZE, b"\0")[: image.HEADER_SIZE])
        end = image.length(reader(data), len(data))
        table = image.table_offset(reader(data), end, len(data))
    except ReleaseError as error:
        raise _refusal(path, error, "; give a MicroPython firmware file for the ESP32 (.bin or .app-bin)") from None
    if table is None:
        if data[32:36] != _DESCRIPTION:
            raise ToolError(
                f"{path} isn't an application image (a bootloader alone?); give a MicroPython firmware file"
            )
        return Firmware(path, chip, checked_application(path, data, chip), None)
    start = TABLE_OFFSET - table
    if start != bootloader_offset(chip):
        raise ToolError(f"{path}: its bootloader isn't where the {chip} looks for it; the file is damaged or cut")
    try:
        offset = read_binary(data[table : table + TABLE_SIZE]).application_offset - start
    except ToolError as error:
        raise ToolError(f"{path}: {error}; the file is damaged") from None
    if not 0 < offset < len(data):
        raise ToolError(f"{path} ends before its application image; the file is cut off")
    application = checked_application(path, data[offset:], chip)
    bootloader = checked_application(path, data[:end], chip)
    return Firmware(path, chip, application, bootloader, secureboot.is_signed(data[:table], end))


def checked_application(path: Path, data: bytes, chip: str) -> bytes:
    """The image at the start of `data`, whole: length, checksum and hash are right, and so is a signature."""
    try:
        end = image.check(reader(data), len(data), chip)
    except ReleaseError as error:
        raise _refusal(path, error) from None
    application = data[:end]
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            parsed = LoadFirmwareImage(chip, application)
            whole = parsed.checksum == parsed.calculate_checksum()
            whole = whole and (not application[23] or parsed.stored_digest == parsed.calc_digest)
    except (FatalError, ValueError) as error:
        raise ToolError(f"{path}: not an application image that esptool accepts: {error}") from None
    if not whole:
        raise ToolError(f"{path}: the application image is damaged (its checksum or hash is wrong)")
    try:
        return data[: secureboot.whole_end(data, end)]
    except ToolError as error:
        raise ToolError(f"{path}: {error}") from None


def _refusal(path: Path, error: ReleaseError, advice: str = "") -> ToolError:
    """keeper.image compares with a slot; here the limit is the end of the file."""
    if "larger than" in str(error):
        return ToolError(f"{path} is cut off: its image is longer than the file")
    return ToolError(f"{path}: {error}{advice}")
