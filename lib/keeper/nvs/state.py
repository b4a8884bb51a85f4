"""What outlives a reset: a few named records in NVS, each one blob, so that each changes whole or not at all.

The only door to `esp32.NVS`. A record is a JSON object (or list) of at most `RECORD_LIMIT` bytes; it carries the
schema it was written with as `v`, and `load` brings older ones up to date. A damaged record reads as absent: what is
in it can be had again (activation is allowed at any time). What the fields mean is known by those who store them.
"""

import json

from keeper import phases
from keeper.errors import StateError
from keeper.talking import jsontext

RECORD_LIMIT = 1536
SCHEMA = 1
_NOT_FOUND = -4354  # ESP_ERR_NVS_NOT_FOUND; a value of another type reads as not found, too
_FULL = -4357  # ESP_ERR_NVS_NOT_ENOUGH_SPACE
_ERRORS = range(-4607, -4352)  # NVS's own
_SCHEMA_0 = {"cloud": ("apiKey", "thingId"), "release": ("versionId",)}


class Store:
    """Records in one NVS namespace."""

    def __init__(self, namespace="keeper"):
        self._namespace = namespace

    def load(self, name):
        """The record `name` (dict or list), or None when there is none that can be read."""
        text = self._get(name)
        if text is None:
            return self._migrate_0(name)
        try:
            record = jsontext.loads(text)
        except ValueError:
            return None
        return record if isinstance(record, (dict, list)) else None

    def save(self, name, record):
        """Write the record as one blob and return when it is in flash; writes nothing if flash holds the same."""
        if isinstance(record, dict):
            record["v"] = SCHEMA
        data = json.dumps(record).encode()
        if len(data) > RECORD_LIMIT:
            raise StateError("record %s has %d bytes, %d fit" % (name, len(data), RECORD_LIMIT))
        if self._get(name) == data:
            return
        try:
            nvs = self._open()
            nvs.set_blob(name, data)
            nvs.commit()
        except OSError as error:
            if error.args[0] == _FULL:
                raise StateError("NVS is full: %s could not be stored; erase what another program left there" % name)
            raise StateError("NVS refused to store %s: %s" % (name, error))

    def erase(self, name):
        """Remove the record, and what schema 0 had in its place; nothing happens if there is none."""
        for old in _SCHEMA_0.get(name, ()):
            self.erase(old)
        try:
            nvs = self._open()
            nvs.erase_key(name)
            nvs.commit()
        except OSError as error:
            if error.args[0] != _NOT_FOUND:
                raise StateError("NVS refused to erase %s: %s" % (name, error))

    def _open(self):
        if self._namespace not in phases.handles:
            from esp32 import NVS

            phases.handles[self._namespace] = NVS(self._namespace)
        return phases.handles[self._namespace]

    def _get(self, name):
        buffer = bytearray(RECORD_LIMIT)
        try:
            size = self._open().get_blob(name, buffer)
        except OSError as error:
            # Absent, of another type, longer than any record of ours, broken, or NVS so full that not even our
            # namespace could be made: each means that there is no record.
            if error.args[0] in _ERRORS:
                return None
            raise StateError("NVS can't be read: %s" % error)
        return bytes(memoryview(buffer)[:size])

    def _migrate_0(self, name):
        """Schema 0 is what firmware written after the service's own guide stored: each value a blob of its own."""
        if name == "cloud":
            key, thing = self._get("apiKey"), self._get("thingId")
            if key and thing:
                return {"v": 0, "key": _word(key), "thing": _word(thing), "named": True}
        elif name == "release":
            version_id = self._get("versionId")
            if version_id:
                return {"v": 0, "id": _word(version_id)}
        return None


def entries():
    """(entries of NVS that are in use, entries that can be); None if that can't be told.

    Stock MicroPython has no call for it, but each page of 4 KiB begins with 32 bytes and then two bits for each of its
    126 entries: 0b10 is one in use. One page always stays free: ESP-IDF needs it to move entries.
    """
    from esp32 import Partition

    found = Partition.find(Partition.TYPE_DATA, label="nvs")
    pages = found[0].info()[3] // 4096 if found else 0
    used = 0
    bits = bytearray(32)
    try:
        for page in range(pages):
            found[0].readblocks(page, bits, 32)
            for four in bits:
                while four:
                    used += four & 3 == 2
                    four >>= 2
    except OSError:
        return None
    return (used, (pages - 1) * 126) if pages else None


def _word(data):
    try:
        return data.decode()
    except UnicodeError:
        return ""
