"""A board's whole flash: bootloader, partition table, NVS, factory record, release in slot 0, file system.

Nothing is asked of the board: what comes out is written from flash offset 0 and boots, and the simulator boots it.
"""

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path

import esptool
from esptool.util import FatalError

from keeper import release as release_format
from keeper.errors import ReleaseError
from thermokeeper.errors import ToolError
from thermokeeper.files import read_bytes
from thermokeeper.formats import nvs
from thermokeeper.formats.partitions import FLASH_SIZES, TABLE_OFFSET, table_for
from thermokeeper.release.boardfiles import bare
from thermokeeper.release.builder import ReleaseFile
from thermokeeper.release.filesystem import pack
from thermokeeper.release.firmware import ROLLBACK_SINCE, Firmware, bootloader_offset

VFS_FILES = ("boot.py", "main.py")


@dataclass(frozen=True)
class Piece:
    """Bytes that belong at an offset of the flash."""

    name: str
    offset: int
    data: bytes


def pieces(
    firmware: Firmware,
    release: ReleaseFile,
    record: bytes,
    networks: list[dict[str, str]],
    vfs_files: dict[str, bytes],
    flash_size: str,
    product: str,
) -> list[Piece]:
    """All that has to be written, in the order of the offsets; what is between is left erased.

    networks: of Wi-Fi, as `nvs.parse_network` gives them.
    """
    if firmware.bootloader is None:
        raise ToolError(
            f"{firmware.path} is an application without a bootloader; give the whole firmware file of MicroPython "
            "(the one that is written to a new board), not the .app-bin"
        )
    if firmware.bootloader_signed:
        raise ToolError(
            f"{firmware.path}: its bootloader is signed for Secure Boot, and a flash image would lose the "
            "signature; write such boards with ESP-IDF's own tools (docs/firmware.md)"
        )
    if firmware.chip != release.manifest.chip:
        raise ToolError(
            f"{firmware.path} is for the {firmware.chip}, the release {release.path} for the {release.manifest.chip}"
        )
    table = table_for(flash_size)
    try:
        release_format.check(release.manifest, product, firmware.chip, table.slot_size)
    except ReleaseError as error:
        raise ToolError(f"{release.path}: {error}") from None
    bootloader = Piece(
        "bootloader",
        bootloader_offset(firmware.chip),
        _bootloader(firmware.path, firmware.chip, firmware.bootloader, flash_size),
    )
    if bootloader.offset + len(bootloader.data) > TABLE_OFFSET:
        raise ToolError(f"{firmware.path}: its bootloader is too large")
    content = {
        "factory": record,
        "ota_0": release.slot(),
        "vfs": pack(vfs_files, table["vfs"].size),
        **nvs.kept(networks, table),
    }
    result = [bootloader, Piece("partition-table", TABLE_OFFSET, table.pack())]
    for part in table.partitions.values():
        if part.label == "ota_1":
            continue  # nothing reads it before it is written
        inside = content.get(part.label, b"\xff" * part.size)
        if len(inside) > part.size:
            raise ToolError(f"{part.label} has {part.size} bytes, {len(inside)} are needed")
        result.append(Piece(part.label, part.offset, inside))
    return result


def check_rollback(firmware: Firmware) -> str | None:
    """ToolError if its bootloader can't go back to the old release; a warning if nobody can tell."""
    if firmware.rolls_back:
        return None
    if firmware.rolls_back is False:
        wanted = ".".join(map(str, ROLLBACK_SINCE))
        raise ToolError(
            f"{firmware.path}: its bootloader doesn't roll back, so a board could never leave a bad release; take "
            f"MicroPython {wanted} or later (or --any-bootloader, for the simulator)"
        )
    return (
        f"{firmware.path.name}: its bootloader doesn't show whether it rolls back; try a release that fails its trial "
        "on one board before you send others (docs/firmware.md)"
    )


def assemble(parts: list[Piece], flash_size: str) -> bytes:
    """The whole flash."""
    flash = bytearray(b"\xff") * FLASH_SIZES[flash_size]
    for part in parts:
        flash[part.offset : part.offset + len(part.data)] = part.data
    return bytes(flash)


def read_vfs_files(folder: Path) -> dict[str, bytes]:
    """boot.py and main.py of a folder, as boards get them."""
    return {n: bare(read_bytes(folder / n, f"the folder that has {' and '.join(VFS_FILES)}"), n) for n in VFS_FILES}


def _bootloader(path: Path, chip: str, image: bytes, flash_size: str) -> bytes:
    """The bootloader with the size of the flash in its header, its hash made right by esptool."""
    offset = bootloader_offset(chip)
    size = f"{FLASH_SIZES[flash_size] >> 20}MB"
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            patched = esptool.merge_bin([(offset, image)], chip, flash_size=size, target_offset=offset)
    except FatalError as error:
        raise ToolError(f"{path}: esptool can't set the flash size in its bootloader: {error}") from None
    return bytes(patched or b"")
