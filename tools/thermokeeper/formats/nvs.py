"""The NVS partition of a new board, in ESP-IDF's own format (version 2): blank, or with its Wi-Fi networks."""

import contextlib
import io
import json
import re

from esp_idf_nvs_partition_gen import nvs_partition_gen as generator

from keeper.keeping import records
from thermokeeper.errors import ToolError
from thermokeeper.formats.partitions import Table

MAX_NETWORKS = 8
_PAGE_SIZE = 4096


def parse_network(text: str) -> dict[str, str]:
    r"""SSID[:KEY] as a network; without a key it is an open one. A colon in the SSID is written \:"""
    ssid, _, key = text.replace("\\:", "\0").partition(":")
    ssid, key = ssid.replace("\0", ":"), key.replace("\0", "\\:")
    if not 1 <= len(ssid.encode()) <= 32:
        raise ToolError("--wifi: the name of a network has 1 to 32 bytes")
    if key and not 8 <= len(key.encode()) <= 63 and not re.fullmatch("[0-9A-Fa-f]{64}", key):
        raise ToolError(f"--wifi: the key of {ssid} must have 8 to 63 characters, or 64 hex digits")
    return {"ssid": ssid, "key": key}


def kept(networks: list[dict[str, str]], table: Table) -> dict[str, bytes]:
    """The partitions `nvs` and `data`, which hold the networks as `thermometer.joining.networks` keeps them.

    The second copy is in `data` from the first day: a board whose NVS is lost before its first start has it, too.
    """
    copy = bytes(records.packed(json.dumps(networks).encode())) if networks else b""
    return {"nvs": pack(networks, table["nvs"].size), "data": copy.ljust(table["data"].size, b"\xff")}


def pack(networks: list[dict[str, str]], size: int) -> bytes:
    """The partition's `size` bytes."""
    if not networks:
        return b"\xff" * size
    if len(networks) > MAX_NETWORKS:
        raise ToolError(f"--wifi: {MAX_NETWORKS} networks are the limit")
    blob = json.dumps(networks, separators=(",", ":")).encode()
    output = io.BytesIO()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            # one page stays free: ESP-IDF needs it to move entries
            nvs = generator.nvs_open(output, size - _PAGE_SIZE, generator.Page.VERSION2)
            generator.write_entry(nvs, "wifi", "namespace", "", "")
            generator.write_entry(nvs, "networks", "data", "hex2bin", blob.hex())
            generator.nvs_close(nvs)
    except (generator.InputError, generator.InsufficientSizeError, generator.PageFullError) as error:
        raise ToolError(f"the Wi-Fi networks don't fit into NVS: {error}") from None
    return output.getvalue().ljust(size, b"\xff")
