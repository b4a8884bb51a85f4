"""A few records in the partition `data`: what has to outlive an NVS that is erased, and what is too large for it.

Stock MicroPython erases all of NVS at a start when it has no free page or another format. The only door to `data`; it
knows places, not what is in them. A record has two sectors of 4 KiB that are written in turns, its head last: whatever
a cut leaves, the other one holds what there was.

A sector: 0 8 magic, 8 4 u32 LE sequence, 12 4 u32 size, 16 4 CRC-32 of bytes 8 to 16 and of the content; content at 20.
"""

import struct
from binascii import crc32

from keeper.errors import StateError

MAGIC = b"TKDATA01"
LIMIT = 4096 - 20
_HEAD = "<8sIII"
_HEAD_SIZE = 20


def load(number):
    """Content of a record (bytes), None if there is none. Raises StateError."""
    data = _data()
    try:
        found = _newest(data, number)
        if found is None:
            return None
        _, sector, size = found
        content = bytearray(size)
        data.readblocks(sector, content, _HEAD_SIZE)
        return bytes(content)
    except OSError as error:
        raise StateError("the partition data can't be read: %s" % error)


def save(number, content):
    """Keep up to LIMIT bytes; writes nothing if flash holds the same. Raises StateError."""
    if len(content) > LIMIT:
        raise StateError("record %d has %d bytes, %d fit" % (number, len(content), LIMIT))
    if load(number) == content:
        return
    data = _data()
    try:
        found = _newest(data, number)
        sequence, sector = (found[0] + 1, found[1] ^ 1) if found else (1, 2 * number)
        data.ioctl(6, sector)
        data.writeblocks(sector, content, _HEAD_SIZE)
        data.writeblocks(sector, packed(content, sequence)[:_HEAD_SIZE], 0)
    except OSError as error:
        raise StateError("the partition data can't be written: %s" % error)
    if load(number) != content:
        raise StateError("the partition data doesn't hold what was written: its flash is worn")


def packed(content, sequence=1):
    """A record as it lies in its sector."""
    return _head(sequence, content) + content


def erase(number):
    """Forget a record. Raises StateError."""
    data = _data()
    try:
        for _ in (0, 1):
            found = _newest(data, number)
            if found:
                data.ioctl(6, found[1])
    except OSError as error:
        raise StateError("the partition data can't be erased: %s" % error)


def _data():
    from esp32 import Partition

    found = Partition.find(Partition.TYPE_DATA, label="data")
    if not found:
        raise StateError("no partition data: this flash has another partition table")
    return found[0]


def _newest(data, number):
    """(sequence, sector, size) of what counts; None if neither sector does."""
    best = None
    head = bytearray(_HEAD_SIZE)
    for sector in (2 * number, 2 * number + 1):
        data.readblocks(sector, head, 0)
        magic, sequence, size, _ = struct.unpack(_HEAD, head)
        if magic != MAGIC or size > LIMIT or (best and sequence < best[0]):
            continue
        content = bytearray(size)
        data.readblocks(sector, content, _HEAD_SIZE)
        if bytes(head) == _head(sequence, content):
            best = sequence, sector, size
    return best


def _head(sequence, content):
    check = crc32(content, crc32(struct.pack("<II", sequence, len(content))))
    return struct.pack(_HEAD, MAGIC, sequence, len(content), check)
