"""One page of NVS on the simulated flash: its header, the states of its entries, and the entries themselves.

Each step reaches flash in ESP-IDF's order. A page is 4096 bytes: 32 of header (u32 state, u32 number, u8 version,
CRC), 32 of entry states (two bits each), 126 entries of 32 bytes. An entry: u8 namespace, u8 type, u8 entries spanned,
u8 chunk, u32 CRC, 16 of key, 8 of data. What the entries of several pages make together is `_simnvs`'s.
"""

import struct
from binascii import crc32

from _sim import BLANK as BLANK_SECTOR
from micropython import const

ACTIVE = 0xFFFFFFFE
FULL = 0xFFFFFFFC
FREEING = 0xFFFFFFF8
BLANK = 0xFFFFFFFF
CORRUPT = 0
ENTRIES = const(126)
FIRST = const(64)
CHUNK_MAX = const(32 * (ENTRIES - 1))
_VERSION = const(0xFE)
_EMPTY = const(3)
_WRITTEN = const(2)
_ERASED = const(0)

U8, I32, OLD_BLOB, CHUNK, INDEX = 0x01, 0x14, 0x41, 0x42, 0x48
ANY = const(0xFF)
NO_CHUNK = const(0xFF)
ONES = const(0xFFFFFFFF)


class PageFull(Exception):
    """There is no room in this page."""


class NeedsErase(Exception):
    """No free page, or a newer format: MicroPython's start-up code erases the whole partition then."""


def item_crc(item):
    """CRC over an entry without the CRC itself."""
    return crc32(bytes(item[8:32]), crc32(bytes(item[:4]), ONES))


def _variable(kind):
    return kind in (OLD_BLOB, CHUNK, 0x21)


class Page:
    """The page at a flash address; `load` reads what is in it, and mends what a power cut left."""

    def __init__(self, board, address):
        self._board = board
        self.address = address
        self.states = bytearray(32)
        self.number = 0
        self._blank()

    def _blank(self):
        self.state = BLANK
        self.next = ENTRIES  # the first entry that can be written
        for index in range(32):
            self.states[index] = 0xFF

    def load(self, raw):
        """Take the page as found in flash (`raw`: a buffer of its size), and mend what a power cut left."""
        self._board.read(self.address, raw)
        view = memoryview(raw)
        state, number = struct.unpack_from("<II", raw, 0)
        self._blank()
        if state == BLANK:
            if raw != BLANK_SECTOR:
                self.state = CORRUPT
            return
        if struct.unpack_from("<I", raw, 28)[0] != crc32(bytes(view[4:28]), ONES):
            self.state = CORRUPT
            return
        if raw[8] < _VERSION:
            raise NeedsErase
        if state not in (ACTIVE, FULL, FREEING):
            self.state = CORRUPT
            return
        self.state = state
        self.number = number
        self.states[:] = view[32:64]
        if state == ACTIVE:
            self._find_end(view)
            self._mend_active(view)
        else:
            self._mend_full(view)

    def entry_state(self, index):
        return self.states[index >> 2] >> (index % 4 * 2) & 3

    def _set_states(self, begin, end, state):
        """Set the states of entries, from the last to the first, one 32-bit word of flash at a time."""
        for index in range(end - 1, begin - 1, -1):
            shift = index % 4 * 2
            self.states[index >> 2] = self.states[index >> 2] & ~(3 << shift) & 0xFF | state << shift
            if index == begin or index % 16 == 0:
                word = index // 16 * 4
                self._board.program(self.address + 32 + word, bytes(self.states[word : word + 4]))

    def _find_end(self, view):
        self.next = 0
        while self.next < ENTRIES and self.entry_state(self.next) != _EMPTY:
            self.next += 1
        # Written, but the power went before its state was: the first word tells.
        while self.next < ENTRIES and bytes(view[FIRST + 32 * self.next :][:4]) != b"\xff\xff\xff\xff":
            self._set_states(self.next, self.next + 1, _ERASED)
            self.next += 1

    def _mend_active(self, view):
        index = 0
        while index < self.next:
            span = 1
            state = self.entry_state(index)
            if state == _WRITTEN:
                item = bytes(view[FIRST + 32 * index :][:32])
                if not sound(item):
                    self.erase_at(index, view)
                elif _variable(item[1]) and not self._all_written(index, item[2]):
                    self.erase_at(index, view)
                    span = item[2]
                else:
                    span = item[2] if _variable(item[1]) else 1
                    # A newer one with the same key on the same page: the power went before the old one was erased.
                    older = self._same_key_before(index, item, view)
                    if older is not None:
                        self.erase_at(older, view)
            elif state != _ERASED:
                self.erase_at(index, view)
            index += span

    def _mend_full(self, view):
        index = 0
        while index < ENTRIES:
            span = 1
            if self.entry_state(index) == _WRITTEN:
                item = bytes(view[FIRST + 32 * index :][:32])
                if not sound(item):
                    self.erase_at(index, view)
                else:
                    span = item[2]
                    if _variable(item[1]) and not self._all_written(index, span):
                        self.erase_at(index, view)
            index += span
        self.next = ENTRIES

    def _all_written(self, index, span):
        for entry in range(index, min(index + span, ENTRIES)):
            if self.entry_state(entry) != _WRITTEN:
                return False
        return index + span <= ENTRIES

    def _same_key_before(self, index, item, view):
        # As ESP-IDF's hash list: namespace, chunk and key count, the type does not.
        for other, candidate in self.items(view):
            if other >= index:
                return None
            if candidate[0] == item[0] and candidate[3] == item[3] and candidate[8:24] == item[8:24]:
                return other
        return None

    def items(self, view):
        """(index, 32 bytes) of each entry that heads an item; `view` holds the page."""
        index = 0
        end = min(self.next, ENTRIES)
        while index < end:
            span = 1
            if self.entry_state(index) == _WRITTEN:
                item = bytes(view[FIRST + 32 * index :][:32])
                if _variable(item[1]):
                    span = max(1, item[2])
                yield index, item
            index += span

    def readable(self):
        return self.state in (ACTIVE, FULL, FREEING)

    def used(self):
        count = 0
        for index in range(ENTRIES):
            if self.entry_state(index) == _WRITTEN:
                count += 1
        return count

    def tailroom(self):
        """Bytes of a chunk that still fit."""
        if self.state == BLANK:
            return CHUNK_MAX
        if self.state != ACTIVE or self.next >= ENTRIES - 1:
            return 0
        return (ENTRIES - self.next - 1) * 32

    def write(self, namespace, kind, key, data, chunk=NO_CHUNK):
        """Write one item: its head, then its data; each first as bytes, then as state."""
        if self.state == BLANK:
            self._start()
        span = 1 + (len(data) + 31) // 32 if _variable(kind) else 1
        if self.state != ACTIVE or self.next + span > ENTRIES:
            raise PageFull
        head = bytearray(b"\xff" * 32)
        struct.pack_into("<BBBB", head, 0, namespace, kind, span, chunk)
        struct.pack_into("16s", head, 8, key.encode())
        if _variable(kind):
            struct.pack_into("<HHI", head, 24, len(data), 0xFFFF, crc32(bytes(data), ONES))
        else:
            head[24 : 24 + len(data)] = data
        struct.pack_into("<I", head, 4, item_crc(head))
        self._write_entries(head)
        if _variable(kind):
            whole = len(data) // 32 * 32
            if whole:
                self._write_entries(data[:whole])
            if len(data) > whole:
                self._write_entries(bytes(data[whole:]) + b"\xff" * (32 - len(data) + whole))

    def _write_entries(self, data):
        self._board.program(self.address + FIRST + 32 * self.next, data)
        count = len(data) // 32
        self._set_states(self.next, self.next + count, _WRITTEN)
        self.next += count

    def _start(self):
        header = bytearray(b"\xff" * 32)
        struct.pack_into("<IIB", header, 0, ACTIVE, self.number, _VERSION)
        struct.pack_into("<I", header, 28, crc32(bytes(header[4:28]), ONES))
        self._board.program(self.address, header)
        self.state = ACTIVE
        self.next = 0

    def erase_at(self, index, view=None):
        """Mark the item at `index`, with all it spans, as erased."""
        item = bytearray(32)
        if view is None:
            self._board.read(self.address + FIRST + 32 * index, item)
        else:
            item[:] = view[FIRST + 32 * index :][:32]
        span = item[2] if self.entry_state(index) == _WRITTEN and sound(item) else 1
        end = min(index + max(1, span), ENTRIES)
        self._set_states(index, end, _ERASED)
        if self.state == ACTIVE and end > self.next:
            self.next = end

    def mark(self, state):
        self._board.program(self.address, struct.pack("<I", state))
        self.state = state

    def erase(self):
        self._board.erase(self.address)
        self._blank()

    def copy_to(self, other):
        """Copy every item, entry by entry."""
        if not self.used():
            return
        if other.state == BLANK:
            other._start()
        entry = bytearray(32)
        index = 0
        while index < ENTRIES:
            span = 1
            if self.entry_state(index) == _WRITTEN:
                self._board.read(self.address + FIRST + 32 * index, entry)
                span = max(1, entry[2])
                for follower in range(index, min(index + span, ENTRIES)):
                    self._board.read(self.address + FIRST + 32 * follower, entry)
                    other._write_entries(entry)
            index += span


def sound(item):
    return item_crc(item) == struct.unpack_from("<I", item, 4)[0] and item[2] > 0
