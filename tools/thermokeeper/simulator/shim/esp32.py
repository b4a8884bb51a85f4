"""`esp32` of the simulated board: partitions, otadata and NVS as ESP-IDF keeps them, errors included."""

import hashlib
import struct
from binascii import crc32

import _sim
from _sim import SECTOR, fail
from _simnvs import Storage

HEAP_DATA = 4
HEAP_EXEC = 1
_APP = 0
_DATA = 1
_ANY = 0xFF
_FIRST_OTA = 0x10
_UNDEFINED = 0xFFFFFFFF


def idf_heap_info(capabilities):
    """One region: (total, free, largest free block, least free ever)."""
    return [(327680, 97000, 65536, 90000)]


def raw_temperature():
    """Degrees Fahrenheit of the chip."""
    return 128


class Partition:
    """A partition of the table at 0x8000, in blocks of 4096 bytes."""

    BOOT = 0
    RUNNING = 1
    TYPE_APP = _APP
    TYPE_DATA = _DATA

    def __init__(self, id, block_size=SECTOR):
        if block_size != SECTOR:
            raise ValueError("block size")
        board = _sim.board()
        board.alive()
        if isinstance(id, tuple):
            entry = id
        elif id == self.BOOT:
            entry = _boot_entry(board)
        elif id == self.RUNNING:
            entry = _by_label(board, _APP, board.running)
        elif isinstance(id, str):
            entry = _by_label(board, _APP, id) or _by_label(board, _DATA, id)
        elif isinstance(id, int):
            raise ValueError
        else:
            raise TypeError("can't convert to str")
        if entry is None:
            raise OSError(2)  # ENOENT
        self._entry = entry

    @staticmethod
    def find(type=_APP, subtype=_ANY, label=None, block_size=SECTOR):
        """List of the partitions that match."""
        return [
            Partition(entry)
            for entry in _sim.board().partitions
            if entry[0] == type and subtype in (_ANY, entry[1]) and label in (None, entry[4])
        ]

    def info(self):
        return self._entry

    def readblocks(self, block, buf, offset=0):
        offset += block * SECTOR
        self._check(offset, len(buf))
        _sim.board().read(self._entry[2] + offset, buf)

    def writeblocks(self, block, buf, offset=None):
        if offset is None:
            offset = block * SECTOR
            self._erase(offset, len(buf))
        else:
            offset += block * SECTOR
        self._check(offset, len(buf))
        self._guard()
        if len(buf):
            _sim.board().program(self._entry[2] + offset, buf)

    def ioctl(self, command, argument=0):
        if command in (1, 2, 3):
            return 0
        if command == 4:
            return self._entry[3] // SECTOR
        if command == 5:
            return SECTOR
        if command == 6:
            self._erase(argument * SECTOR, SECTOR)
            return 0
        return None

    def _check(self, offset, size):
        if offset < 0 or offset > self._entry[3]:
            fail(-258)
        if offset + size > self._entry[3]:
            fail(-260)

    def _guard(self):
        # ESP-IDF aborts rather than let the running application overwrite itself.
        if self._entry[4] == _sim.board().running and self._entry[0] == _APP:
            _sim.board().end("panic: write to the running application")

    def _erase(self, offset, size):
        self._check(offset, size)
        if size % SECTOR:
            fail(-260)
        if offset % SECTOR:
            fail(-258)
        self._guard()
        board = _sim.board()
        start = self._entry[2] + offset
        for address in range(start, start + size, SECTOR):
            board.erase(address)

    def set_boot(self):
        """Check the application, then select it for the next boot, on trial."""
        board = _sim.board()
        kind, subtype, address, size = self._entry[:4]
        if kind != _APP or not valid_image(board.read, address, size):
            fail(-5379)
        if subtype < _FIRST_OTA:
            data = _otadata(board)
            if data is None:
                fail(-261)
            for sector in range(data[2], data[2] + data[3], SECTOR):
                board.erase(sector)
            return
        slots = _slot_count(board)
        slot = subtype - _FIRST_OTA
        data, entries = _entries(board)
        if slot >= slots:
            fail(-258)
        active = active_entry(entries)
        if active is None:
            sector, sequence = 0, slot + 1
        elif (entries[active][0] - 1) % slots == slot:
            sector, sequence = active, entries[active][0]
        else:
            sector, sequence = 1 - active, entries[active][0]
            while (sequence - 1) % slots != slot:
                sequence += 1
        _write_entry(board, data, sector, sequence, entries[sector][3], 0)

    def get_next_update(self):
        """The application slot that follows this one."""
        slots = [entry for entry in _sim.board().partitions if entry[0] == _APP and _FIRST_OTA <= entry[1] < 0x20]
        slots.sort(key=lambda entry: entry[1])
        if not slots:
            raise OSError(2)
        for position, entry in enumerate(slots):
            if entry == self._entry:
                return Partition(slots[(position + 1) % len(slots)])
        return Partition(slots[0])

    @classmethod
    def mark_app_valid_cancel_rollback(cls):
        """Bless the slot that is selected for the NEXT boot, which need not be the one that runs."""
        board = _sim.board()
        data, entries = _entries(board)
        active = active_entry(entries)
        if active is None or not _slot_count(board):
            fail(-1)
        sequence, state, _, label = entries[active]
        if state != 2:
            _write_entry(board, data, active, sequence, label, 2)


def _by_label(board, kind, label):
    for entry in board.partitions:
        if entry[0] == kind and entry[4] == label:
            return entry
    return None


def _slot_count(board):
    count = 0
    while any(entry[0] == _APP and entry[1] == _FIRST_OTA + count for entry in board.partitions):
        count += 1
    return count


def _otadata(board):
    for entry in board.partitions:
        if entry[0] == _DATA and entry[1] == 0:
            return entry
    return None


def _entries(board):
    """otadata's partition and its two entries, each (sequence, state, CRC holds, label)."""
    data = _otadata(board)
    if data is None:
        fail(-261)
    raw = bytearray(32)
    entries = []
    for sector in (0, 1):
        board.read(data[2] + sector * SECTOR, raw)
        sequence, label, state, crc = struct.unpack("<I20sII", raw)
        entries.append((sequence, state, crc == _sequence_crc(sequence), label))
    return data, entries


def active_entry(entries):
    """Index of the entry that decides the next boot; None if neither can."""
    usable = [index for index in (0, 1) if entries[index][2] and bootable(entries[index])]
    if len(usable) == 2:
        return 0 if entries[0][0] >= entries[1][0] else 1
    return usable[0] if usable else None


def bootable(entry):
    """Whether an entry's own words allow it to be booted (its CRC is another matter)."""
    return entry[0] != _UNDEFINED and entry[1] not in (3, 4)


def _sequence_crc(sequence):
    return crc32(struct.pack("<I", sequence), _UNDEFINED)


def _write_entry(board, data, sector, sequence, label, state):
    address = data[2] + sector * SECTOR
    board.erase(address)
    board.program(address, struct.pack("<I20sII", sequence, label, state, _sequence_crc(sequence)))


def _boot_entry(board):
    """The partition that otadata selects now; what really boots is the bootloader's business."""
    entries = _entries(board)[1]
    active = active_entry(entries)
    slots = _slot_count(board)
    if active is None or not slots:
        for subtype in (0, _FIRST_OTA):
            for entry in board.partitions:
                if entry[0] == _APP and entry[1] == subtype:
                    return entry
        return None
    for entry in board.partitions:
        if entry[0] == _APP and entry[1] == _FIRST_OTA + (entries[active][0] - 1) % slots:
            return entry
    return None


def valid_image(read, address, size, chip=0):
    """Whether a whole, undamaged application image for this chip lies at `address` (ESP-IDF's `esp_image_verify`)."""
    header = bytearray(24)
    read(address, header)
    count = header[1]
    if header[0] != 0xE9 or not 0 < count <= 16 or struct.unpack_from("<H", header, 12)[0] != chip:
        return False
    digest = hashlib.sha256()
    digest.update(header)
    part = bytearray(8)
    chunk = bytearray(SECTOR)
    view = memoryview(chunk)
    xor = 0
    position = 24
    for _ in range(count):
        if position + 8 > size:
            return False
        read(address + position, part)
        digest.update(part)
        position += 8
        left = struct.unpack_from("<I", part, 4)[0]
        if left % 4 or position + left > size:
            return False
        while left:
            piece = view[: min(left, SECTOR)]
            read(address + position, piece)
            digest.update(piece)
            # As one large number: far quicker than a loop over the bytes.
            for start in range(0, len(piece), 256):
                xor ^= int.from_bytes(bytes(piece[start : start + 256]), "little")
            position += len(piece)
            left -= len(piece)
    # The checksum is the last byte before a multiple of 16; with a hash, its 32 bytes follow.
    end = (position + 16) & ~15
    if end + (32 if header[23] else 0) > size:
        return False
    tail = view[: end - position]
    read(address + position, tail)
    digest.update(tail)
    checksum = 0xEF
    while xor:
        checksum ^= xor & 0xFF
        xor >>= 8
    if tail[-1] != checksum:
        return False
    if not header[23]:
        return True
    stored = bytearray(32)
    read(address + end, stored)
    return stored == digest.digest()


class NVS:
    """A namespace of the partition `nvs`."""

    def __init__(self, namespace):
        self._storage = _storage()
        self._namespace = self._storage.open(namespace)

    def set_i32(self, key, value):
        if not -0x80000000 <= value <= 0x7FFFFFFF:
            raise OverflowError("overflow converting long int to machine word")
        self._storage.set_i32(self._namespace, key, value)

    def get_i32(self, key):
        return self._storage.get_i32(self._namespace, key)

    def set_blob(self, key, value):
        self._storage.set_blob(self._namespace, key, value)

    def get_blob(self, key, buffer):
        return self._storage.get_blob(self._namespace, key, buffer)

    def erase_key(self, key):
        self._storage.erase(self._namespace, key)

    def commit(self):
        """Nothing is left to do: every write has reached flash by itself."""
        _sim.board().alive()


_stores = []


def _storage():
    board = _sim.board()
    board.alive()
    if not _stores or _stores[0][0] is not board:
        for kind, subtype, address, size, label, _ in board.partitions:
            if kind == _DATA and subtype == 2 and label == "nvs":
                _stores[:] = [(board, Storage(board, address, size))]
                break
        else:
            raise OSError(-4367, "ESP_ERR_NVS_PART_NOT_FOUND")
    return _stores[0][1]
