"""Reads an NVS partition (ESP-IDF, version 2) from its bytes: what is in it, without changing it.

Independent of the shim's NVS, so that each can check the other.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from typing import Any

PAGE = 4096
_STATES = {0xFFFFFFFF: "blank", 0xFFFFFFFE: "active", 0xFFFFFFFC: "full", 0xFFFFFFF8: "freeing"}
_INTEGERS = {0x01: "<B", 0x11: "<b", 0x02: "<H", 0x12: "<h", 0x04: "<I", 0x14: "<i", 0x08: "<Q", 0x18: "<q"}
_TEXT, _OLD_BLOB, _CHUNK, _INDEX = 0x21, 0x41, 0x42, 0x48


@dataclass
class Contents:
    """values: {(namespace, key): int, str or bytes}; pages: state of each page; problems: one line each."""

    values: dict[tuple[str, str], Any] = field(default_factory=dict)
    pages: list[str] = field(default_factory=list)
    entries_used: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass
class _Item:
    namespace: int
    kind: int
    chunk: int
    key: str
    value: bytes  # 8 bytes, or what follows the entry


def read(data: bytes) -> Contents:
    """Everything in a partition."""
    found = Contents()
    pages = []
    for start in range(0, len(data), PAGE):
        page = data[start : start + PAGE]
        state, number = struct.unpack_from("<II", page)
        name = _STATES.get(state, "damaged")
        if name == "blank":
            name = "blank" if page == b"\xff" * PAGE else "damaged"
        elif struct.unpack_from("<I", page, 28)[0] != zlib.crc32(page[4:28], 0xFFFFFFFF):
            name = "damaged"
        found.pages.append(name)
        if name in ("active", "full", "freeing"):
            pages.append((number, page))
    items: list[_Item] = []
    for _, page in sorted(pages, key=lambda pair: pair[0]):
        items += _items(page, found)
    names = {item.value[0]: item.key for item in items if item.namespace == 0}
    chunks = {(item.namespace, item.key, item.chunk): item.value for item in items if item.kind == _CHUNK}
    for item in items:
        if not item.namespace or item.kind == _CHUNK:
            continue
        place = (names.get(item.namespace, f"#{item.namespace}"), item.key)
        if item.kind in _INTEGERS:
            found.values[place] = struct.unpack_from(_INTEGERS[item.kind], item.value)[0]
        elif item.kind == _TEXT:
            found.values[place] = item.value.rstrip(b"\0").decode(errors="replace")
        elif item.kind == _OLD_BLOB:
            found.values[place] = item.value
        elif item.kind == _INDEX:
            size, count, start = struct.unpack_from("<IBB", item.value)
            parts = [chunks.get((item.namespace, item.key, start + number)) for number in range(count)]
            whole = b"".join(part for part in parts if part is not None)
            if None in parts or len(whole) != size:
                found.problems.append(f"{place[0]}/{place[1]}: chunks are missing")
            else:
                found.values[place] = whole
    return found


def _items(page: bytes, found: Contents) -> list[_Item]:
    items = []
    index = 0
    while index < 126:
        state = page[32 + index // 4] >> index % 4 * 2 & 3
        entry = page[64 + 32 * index : 96 + 32 * index]
        index += 1
        if state != 2:
            continue
        namespace, kind, span, chunk, crc = struct.unpack_from("<BBBBI", entry)
        if zlib.crc32(entry[8:], zlib.crc32(entry[:4], 0xFFFFFFFF)) != crc or not span:
            found.problems.append(f"entry {index - 1} has a wrong checksum")
            continue
        found.entries_used += span
        value = entry[24:]
        if kind in (_TEXT, _OLD_BLOB, _CHUNK):
            size, _, data_crc = struct.unpack("<HHI", value)
            value = page[64 + 32 * index :][:size]
            index += span - 1
            if zlib.crc32(value, 0xFFFFFFFF) != data_crc:
                found.problems.append(f"the data of entry {index - span} has a wrong checksum")
                continue
        items.append(_Item(namespace, kind, chunk, entry[8:24].split(b"\0")[0].decode(errors="replace"), value))
    return items
