"""Who this board is: its factory record, written once when it was made and never in the field.

The record lies alone in the 4 KiB partition `factory`, so that no update, no file system and no full NVS can take
a board's serial. Format: docs/flash-map.md. This is the only door to that partition; nothing here writes.
"""

import struct
from binascii import crc32

from keeper.device import Device
from keeper.errors import FactoryError
from keeper.talking import jsontext

MAGIC = b"TKFACT01"
RECORD_SIZE = 4096
_HEAD_SIZE = 10  # magic, u16 size of the JSON
_SERIAL_LIMIT = 64
_ALNUM = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."


def checked(record):
    """The Device of a factory record (a dict); FactoryError says what is wrong with it."""
    serial = _text(record, "serial", _SERIAL_LIMIT)
    product = _text(record, "product", 64)
    service = _text(record, "service", 32)
    server = _text(record, "server", 256).rstrip("/")
    for char in serial:
        if char not in _ALNUM:
            raise FactoryError("factory record: the serial has a character that no serial has; write it again")
    if server.startswith("http://"):
        if record.get("plain_http") is not True:
            raise FactoryError("factory record: http is not allowed by it (plain_http); give an https server")
    elif not server.startswith("https://"):
        raise FactoryError("factory record: server is not an http(s) address")
    return Device(serial, product, service, server, record)


def parse(block):
    """The Device of the first bytes of the partition (bytes-like, up to 4096); FactoryError says what is wrong."""
    if len(block) < _HEAD_SIZE or bytes(block[:8]) != MAGIC:
        raise FactoryError("no factory record: this board never got a serial; write one with `thermokeeper image`")
    size = struct.unpack_from("<H", block, 8)[0]
    end = _HEAD_SIZE + size
    if end + 4 > len(block) or end + 4 > RECORD_SIZE:
        raise FactoryError("factory record damaged: its length is impossible; write it again")
    if struct.unpack_from("<I", block, end)[0] != crc32(bytes(block[:end])):
        raise FactoryError("factory record damaged: checksum differs; write it again")
    try:
        record = jsontext.loads(block[_HEAD_SIZE:end])
    except ValueError:
        raise FactoryError("factory record damaged: not JSON; write it again")
    if not isinstance(record, dict):
        raise FactoryError("factory record damaged: not a JSON object; write it again")
    return checked(record)


def read():
    """The Device that this board is, read raw from the partition `factory`."""
    from esp32 import Partition

    try:
        found = Partition.find(Partition.TYPE_DATA, label="factory")
        if not found:
            raise FactoryError("no partition `factory`: this flash has another partition table; flash the whole image")
        head = bytearray(_HEAD_SIZE)
        found[0].readblocks(0, head, 0)
        size = _HEAD_SIZE + struct.unpack_from("<H", head, 8)[0] + 4
        if bytes(head[:8]) != MAGIC or size > RECORD_SIZE:
            return parse(head)  # refuses, with the reason
        block = bytearray(size)
        found[0].readblocks(0, block, 0)
    except OSError as error:
        raise FactoryError("factory record can't be read: %s" % error)
    return parse(block)


def _text(record, name, limit):
    value = record.get(name)
    if not isinstance(value, str) or not value or len(value) > limit:
        raise FactoryError("factory record: %s is missing or not a text of up to %d characters" % (name, limit))
    return value
