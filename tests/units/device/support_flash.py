"""Tiny flash images for tests of the simulated board: a partition table, fake applications, whatever else is given.

Runs on CPython and MicroPython; knows the formats from their specifications, not from the code under test. That code's
open handles of NVS are all that it looks at: a board's reset closes them.
"""

import binascii
import hashlib
import os
import struct

from keeper.phases import handles

SECTOR = 4096

# (label, type, subtype, address, size); small slots keep the files small.
TABLE = (
    ("nvs", 1, 2, 0x9000, 0x4000),
    ("otadata", 1, 0, 0xD000, 0x2000),
    ("phy_init", 1, 1, 0xF000, 0x1000),
    ("ota_0", 0, 0x10, 0x10000, 0x10000),
    ("ota_1", 0, 0x11, 0x20000, 0x10000),
    ("factory", 1, 0x40, 0x30000, 0x1000),
    ("vfs", 1, 0x81, 0x31000, 0xF000),
    ("data", 1, 0x41, 0x40000, 0x10000),
)
SIZE = 0x50000


def table_bytes(table=TABLE):
    """The partition table as it lies at 0x8000."""
    data = b""
    for label, kind, subtype, address, size in table:
        data += struct.pack("<HBBII16sI", 0x50AA, kind, subtype, address, size, label.encode(), 0)
    return data


def app_image(text=b"application", size=1000, chip=0, segments=1, hashed=True):
    """A small ESP32 application image that the bootloader accepts."""
    image = struct.pack("<BBBBI", 0xE9, segments, 2, 0x20, 0x40080000)
    image += struct.pack("<BBBBHBHH", 0xEE, 0, 0, 0, chip, 0, 0, 0xFFFF) + b"\x00" * 4
    image += b"\x01" if hashed else b"\x00"
    assert len(image) == 24
    checksum = 0xEF
    for number in range(segments):
        data = (text + bytes([number])) * (size // (len(text) + 1) + 1)
        data = data[: size // 4 * 4]
        image += struct.pack("<II", 0x3F400020 + number * 0x10000, len(data)) + data
        for byte in data:
            checksum ^= byte
    image += b"\x00" * (15 - len(image) % 16) + bytes([checksum])
    if hashed:
        image += hashlib.sha256(image).digest()
    return image


def otadata_entry(sequence, state):
    """One otadata entry of 32 bytes."""
    number = struct.pack("<I", sequence)
    return number + b"\xff" * 20 + struct.pack("<II", state, binascii.crc32(number, 0xFFFFFFFF))


def make_flash(path, parts=(), table=TABLE, size=SIZE):
    """Write a flash file: blank but for the partition table and `parts`, pairs of (label or address, bytes)."""
    addresses = {}
    for label, _, _, address, _ in table:
        addresses[label] = address
    with open(path, "wb") as file:
        blank = b"\xff" * SECTOR
        for _ in range(size // SECTOR):
            file.write(blank)
        for place, data in ((0x8000, table_bytes(table)),) + tuple(parts):
            file.seek(addresses.get(place, place))
            file.write(data)


class board:
    """`with board(parts) as sim:` attaches a simulated board on a flash file of its own to the shim.

    `sim` is the board; `sim.path` its file, `sim.told` the first lines it said to its runner, `sim.settings` its world.
    A power cut or reset raises `Ended`.
    """

    def __init__(self, parts=(), running="ota_0", **settings):
        self._parts = parts
        self._running = running
        self._settings = settings

    def __enter__(self):
        root = os.getenv("TMPDIR") or "/tmp"
        self._path = root + "/thermokeeper-" + binascii.hexlify(os.urandom(8)).decode() + ".bin"
        make_flash(self._path, self._parts)
        return attach(self._path, self._running, self._settings)

    def __exit__(self, error_type, error, trace):
        _close()
        os.remove(self._path)
        return False


class Ended(BaseException):
    """The life of the simulated board is over; the text says how."""


_open = []


def _close():
    while _open:
        _open.pop().close()


def attach(path, running="ota_0", settings=None):
    """A new life of the board on `path`: nothing that the one before had opened is open."""
    import _sim

    handles.clear()
    settings = {} if settings is None else settings
    told = []

    def tell(line):
        if len(told) < 32:
            told.append(line)

    def end(line):
        raise Ended(line)

    _close()
    _open.append(open(path, "r+b", 0))
    sim = _sim.Board(_open[0], tell, end, lambda: settings, running)
    sim.path = path
    sim.told = told
    sim.settings = settings
    return _sim.attach(sim)
