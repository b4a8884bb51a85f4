"""What decides in flash which application boots next: otadata's two entries, and whether an image is whole.

As ESP-IDF has it, for `esp32` and for the bootloader. Partitions are rows of the board's table. What really boots,
and what becomes of a trial, is the bootloader's business.
"""

import hashlib
import struct
from binascii import crc32

from _sim import SECTOR, fail
from micropython import const

FIRST_SLOT = 0x10  # subtype of ota_0
_APP = const(0)
_DATA = const(1)
_UNDEFINED = const(0xFFFFFFFF)


def select(board, subtype):
    """Have the application of this subtype boot next, on trial if it is in a slot (`esp_ota_set_boot_partition`)."""
    if subtype < FIRST_SLOT:
        data = otadata(board)
        if data is None:
            fail(-261)
        for sector in range(data[2], data[2] + data[3], SECTOR):
            board.erase(sector)
        return
    slots = slot_count(board)
    slot = subtype - FIRST_SLOT
    data, entries = read_entries(board)
    if slot >= slots:
        fail(-258)
    active = active_entry(entries)
    if active is None:
        sector, sequence = 0, slot + 1
    elif (entries[active][0] - 1) % slots == slot and board.world.get("idf", 5) > 5:
        sector, sequence = active, entries[active][0]
    else:
        # ESP-IDF 5 (esp_rewrite_ota_data) does so, too, where the slot is selected already: an equal sequence, in the
        # other sector. All MicroPython up to 1.29 is built with it.
        sector, sequence = 1 - active, entries[active][0]
        while (sequence - 1) % slots != slot:
            sequence += 1
    write_entry(board, data, sector, sequence, entries[sector][3], 0)


def confirm(board):
    """Bless what is selected for the next boot (`esp_ota_mark_app_valid_cancel_rollback`)."""
    data, entries = read_entries(board)
    active = active_entry(entries)
    if active is None or not slot_count(board):
        fail(-1)
    sequence, state, _, label = entries[active]
    if state != 2:
        write_entry(board, data, active, sequence, label, 2)


def boot_entry(board):
    """The partition that otadata selects now; None if there is no application."""
    entries = read_entries(board)[1]
    active = active_entry(entries)
    slots = slot_count(board)
    if active is None or not slots:
        for subtype in (0, FIRST_SLOT):
            for entry in board.partitions:
                if entry[0] == _APP and entry[1] == subtype:
                    return entry
        return None
    for entry in board.partitions:
        if entry[0] == _APP and entry[1] == FIRST_SLOT + (entries[active][0] - 1) % slots:
            return entry
    return None


def slot_count(board):
    count = 0
    while any(entry[0] == _APP and entry[1] == FIRST_SLOT + count for entry in board.partitions):
        count += 1
    return count


def otadata(board):
    """The partition otadata; None without one."""
    for entry in board.partitions:
        if entry[0] == _DATA and entry[1] == 0:
            return entry
    return None


def read_entries(board):
    """otadata's partition and its two entries, each (sequence, state, CRC holds, label)."""
    data = otadata(board)
    if data is None:
        fail(-261)
    raw = bytearray(32)
    entries = []
    for sector in (0, 1):
        board.read(data[2] + sector * SECTOR, raw)
        sequence, label, state, crc = struct.unpack("<I20sII", raw)
        entries.append((sequence, state, crc == _sequence_crc(sequence), label))
    return data, entries


def write_entry(board, data, sector, sequence, label, state):
    """Erase one of otadata's sectors and write an entry into it."""
    address = data[2] + sector * SECTOR
    board.erase(address)
    board.program(address, struct.pack("<I20sII", sequence, label, state, _sequence_crc(sequence)))


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
