"""What is in a flash image or a dump of a board's flash, as plain data."""

import struct
import zlib
from typing import Any

from keeper import release
from keeper.errors import FactoryError, KeeperError, ReleaseError
from keeper.factory import identity
from keeper.imaging import image
from thermokeeper.errors import ToolError
from thermokeeper.formats.partitions import TABLE_OFFSET, TABLE_SIZE, Partition, Table, read_binary
from thermokeeper.release import authority
from thermokeeper.release.bootloader import rolls_back
from thermokeeper.release.builder import header_offset
from thermokeeper.release.filesystem import unpack
from thermokeeper.release.firmware import interpreter_of, reader

_STATES = {0: "new", 1: "pending verify", 2: "valid", 3: "invalid", 4: "aborted", 0xFFFFFFFF: "undefined"}

_SECRETS = ("secret", "token")  # of a factory record: that they are there is said, not what they are


def describe(flash: bytes) -> dict[str, Any]:
    """Partitions, slots, otadata, factory record and file system; ToolError if it isn't a flash image at all."""
    table = read_binary(flash[TABLE_OFFSET : TABLE_OFFSET + TABLE_SIZE])
    if any(part.offset + part.size > len(flash) for part in table.partitions.values()):
        raise ToolError(f"the flash image is cut off: it has {len(flash)} bytes, its partition table needs more")

    def content(label: str) -> bytes:
        part = table[label]
        return flash[part.offset : part.offset + part.size]

    return {
        "flash_size": len(flash),
        "bootloader": _bootloader(flash),
        "partitions": [_partition(part, flash) for part in table.partitions.values()],
        "otadata": _otadata(content("otadata")),
        "slots": {label: _slot(content(label)) for label in ("ota_0", "ota_1")},
        "factory": _factory(content("factory")),
        "vfs": _vfs(content("vfs")),
    }


def slot_release(flash: bytes, table: Table, label: str) -> release.Manifest:
    """The manifest of the release in a slot; ReleaseError if there is none."""
    part = table[label]
    data = flash[part.offset : part.offset + part.size]
    start = header_offset(data)
    return release.parse(data[start : start + release.HEADER_SIZE])


def _bootloader(flash: bytes) -> dict[str, Any] | None:
    for offset in (0, 0x1000, 0x2000):
        try:
            header = flash[offset : offset + image.HEADER_SIZE]
            chip = image.chip_of(header)
            size = image.length(reader(flash[offset:TABLE_OFFSET]), TABLE_OFFSET - offset)
        except ReleaseError:
            continue
        return {
            "offset": offset,
            "chip": chip,
            "flash_size_mib": 1 << (header[3] >> 4),
            "rolls_back": rolls_back(flash[offset : offset + size], chip),
        }
    return None


def _partition(part: Partition, flash: bytes) -> dict[str, Any]:
    data = flash[part.offset : part.offset + part.size]
    return {
        "label": part.label,
        "type": part.kind,
        "subtype": part.subtype,
        "offset": part.offset,
        "size": part.size,
        "blank": data.count(0xFF) == len(data),
    }


def _otadata(data: bytes) -> list[dict[str, Any] | None]:
    entries: list[dict[str, Any] | None] = []
    for offset in (0, 0x1000):
        sequence, state, checksum = struct.unpack_from("<I20xII", data, offset)
        if sequence == 0xFFFFFFFF:
            entries.append(None)
            continue
        # CRC as the ROM computes it over ota_seq, starting from all ones
        right = checksum == zlib.crc32(struct.pack("<I", sequence), 0xFFFFFFFF)
        name = _STATES.get(state, f"unknown ({state})")
        entries.append({"sequence": sequence, "slot": f"ota_{(sequence - 1) % 2}", "state": name, "crc_right": right})
    return entries


def _slot(data: bytes) -> dict[str, Any]:
    if data.count(0xFF) == len(data):
        return {"state": "blank"}
    try:
        start = header_offset(data)
        manifest = release.parse(data[start : start + release.HEADER_SIZE])
    except KeeperError as error:
        return {"state": "no release", "reason": str(error)}
    return {
        "state": "release",
        "product": manifest.product,
        "version": manifest.version,
        "digest": manifest.digest,
        "signed": release.is_signed(data[start : start + release.HEADER_SIZE]),
        "interpreter": interpreter_of(data[:start]),
        "bytes": manifest.slot_size,
    }


def _factory(data: bytes) -> dict[str, Any]:
    try:
        found = identity.parse(data)
    except FactoryError as error:
        return {"error": str(error)}
    about = {"serial": found.serial, "product": found.product, "service": found.service, "server": found.server}
    for name, value in sorted(found.extra.items()):
        if name in _SECRETS:
            about[name] = "(not shown)"
        elif name == "ca":
            about[name] = authority.describe(str(value))
        else:
            about[name] = value
    return about


def _vfs(data: bytes) -> dict[str, Any]:
    try:
        return {"files": {name: len(content) for name, content in unpack(data).items()}}
    except ToolError as error:
        return {"error": str(error)}
