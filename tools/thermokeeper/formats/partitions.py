"""Partition tables: the flash maps in firmware/partitions-*.csv, and the table inside a flash image.

The CSV is ESP-IDF's own form with all fields given. The binary form is mp-image-tool-esp32's.
"""

import contextlib
import io
import logging
import re
from dataclasses import dataclass
from pathlib import Path

from mp_image_tool_esp32.partition_table import PartitionEntry, PartitionError, PartitionTable

from thermokeeper.errors import ToolError
from thermokeeper.files import PROJECT, read_bytes

TABLE_OFFSET = 0x8000
TABLE_SIZE = 0x1000
FLASH_SIZES = {f"{mib}MiB": mib << 20 for mib in (4, 8, 16)}

_TYPES = {"app": 0, "data": 1}
_SUBTYPES = {("data", "ota"): 0, ("data", "phy"): 1, ("data", "nvs"): 2, ("data", "fat"): 0x81}
_SUBTYPES |= {("app", f"ota_{i}"): 0x10 + i for i in range(16)}
_REQUIRED = ("nvs", "otadata", "ota_0", "ota_1", "factory", "vfs", "data")

# it warns of free space between partitions, which stock tables have
logging.getLogger("mp_image_tool_esp32").setLevel(logging.ERROR)


@dataclass(frozen=True)
class Partition:
    """One row; `kind` and `subtype` as the numbers of the binary table."""

    label: str
    kind: int
    subtype: int
    offset: int
    size: int


@dataclass(frozen=True)
class Table:
    """A flash map: partitions by label, in the order of their offsets."""

    partitions: dict[str, Partition]

    def __getitem__(self, label: str) -> Partition:
        if label not in self.partitions:
            raise ToolError(f"the partition table has no partition {label}; it isn't one of ours")
        return self.partitions[label]

    @property
    def application_offset(self) -> int:
        """Where the first application of the table begins, stock or ours."""
        offsets = [part.offset for part in self.partitions.values() if part.kind == 0]
        if not offsets:
            raise ToolError("the partition table has no application in it")
        return min(offsets)

    @property
    def slot_size(self) -> int:
        """Bytes of the smaller of the two slots."""
        return min(self["ota_0"].size, self["ota_1"].size)

    def pack(self) -> bytes:
        """The 4096 bytes at 0x8000, with their MD5."""
        table = PartitionTable()
        for part in self.partitions.values():
            label = part.label.encode().ljust(16, b"\0")
            table.append(PartitionEntry(b"\xaa\x50", part.kind, part.subtype, part.offset, part.size, label, 0))
        return bytes(table.to_bytes())


def available_tables() -> dict[str, Table]:
    """Flash size ("4MiB") -> table, for all tables in firmware/."""
    return {
        name: read_csv(path, FLASH_SIZES[name])
        for name in FLASH_SIZES
        if (path := PROJECT / "firmware" / f"partitions-{name}.csv").exists()
    }


def table_for(flash_size: str) -> Table:
    """The table for a flash size like "4MiB"."""
    tables = available_tables()
    if flash_size not in tables:
        raise ToolError(f"there is no flash map for {flash_size}; choose from {', '.join(tables)}")
    return tables[flash_size]


def read_csv(path: Path, flash_size: int) -> Table:
    """A table from a CSV file; ToolError names the line that is wrong."""
    partitions: dict[str, Partition] = {}
    end = TABLE_OFFSET + TABLE_SIZE
    for number, line in enumerate(read_bytes(path, "a partition table").decode(errors="replace").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        where = f"{path}, line {number}"
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) != 5 or cells[1] not in _TYPES or not 0 < len(cells[0].encode()) <= 15:
            raise ToolError(f"{where}: a row is: name, app or data, subtype, offset, size")
        subtype = _SUBTYPES.get((cells[1], cells[2]))
        subtype = _number(cells[2], where) if subtype is None else subtype
        part = Partition(cells[0], _TYPES[cells[1]], subtype, _number(cells[3], where), _number(cells[4], where))
        if part.label in partitions or part.offset < end or part.offset + part.size > flash_size or not part.size:
            raise ToolError(f"{where}: {part.label} is there twice, overlaps or is behind the end of the flash")
        if part.offset % (0x10000 if part.kind == 0 else 0x1000) or part.size % 0x1000 or part.subtype > 0xFE:
            raise ToolError(f"{where}: {part.label} doesn't begin or end where flash can be erased or mapped")
        partitions[part.label] = part
        end = part.offset + part.size
    missing = [label for label in _REQUIRED if label not in partitions]
    if missing:
        raise ToolError(f"{path} has no partition {missing[0]}")
    return Table(partitions)


def read_binary(data: bytes) -> Table:
    """The table in the 4096 bytes at 0x8000 of a flash."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            entries = PartitionTable.from_bytes(data)
        parts = [Partition(entry.name, entry.type, entry.subtype, entry.offset, entry.size) for entry in entries]
    except (PartitionError, ValueError) as error:
        raise ToolError(f"there is no right partition table at 0x8000: {str(error).splitlines()[0]}") from None
    return Table({part.label: part for part in parts})


def _number(text: str, where: str) -> int:
    found = re.fullmatch(r"(0x[0-9a-fA-F]{1,8}|[0-9]{1,9})([KM]?)", text)
    if not found:
        raise ToolError(f"{where}: {text!r} isn't a number")
    return int(found[1], 0) * {"": 1, "K": 1 << 10, "M": 1 << 20}[found[2]]
