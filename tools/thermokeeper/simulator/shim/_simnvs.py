"""ESP-IDF's NVS, format version 2, on the simulated flash: pages, entry states, blobs in chunks, and their recovery.

Written so that each step reaches flash in ESP-IDF's order, because a power cut between two steps is what it is for.
It reads every type that `nvs_partition_gen` writes and writes i32 and blobs. It knows flash, and no Python API.

A page is 4096 bytes: 32 of header (u32 state, u32 number, u8 version, CRC), 32 of entry states (two bits each), 126
entries of 32 bytes. An entry: u8 namespace, u8 type, u8 entries spanned, u8 chunk, u32 CRC, 16 of key, 8 of data.
"""

import struct
from binascii import crc32

from _sim import BLANK as BLANK_SECTOR
from _sim import SECTOR, fail
from micropython import const

ACTIVE = 0xFFFFFFFE
FULL = 0xFFFFFFFC
FREEING = 0xFFFFFFF8
BLANK = 0xFFFFFFFF
CORRUPT = 0
_ENTRIES = const(126)
_FIRST = const(64)
_CHUNK_MAX = const(32 * (_ENTRIES - 1))
_VERSION = const(0xFE)
_EMPTY = const(3)
_WRITTEN = const(2)
_ERASED = const(0)

U8, I32, OLD_BLOB, CHUNK, INDEX = 0x01, 0x14, 0x41, 0x42, 0x48
_ANY = const(0xFF)
_NO_CHUNK = const(0xFF)
_ONES = const(0xFFFFFFFF)

_NOT_FOUND = const(-4354)
_NO_SPACE = const(-4357)


class _PageFull(Exception):
    pass


class _NeedsErase(Exception):
    """No free page, or a newer format: MicroPython's start-up code erases the whole partition then."""


def item_crc(item):
    """CRC over an entry without the CRC itself."""
    return crc32(bytes(item[8:32]), crc32(bytes(item[:4]), _ONES))


def _variable(kind):
    return kind in (OLD_BLOB, CHUNK, 0x21)


class _Page:
    def __init__(self, board, address):
        self._board = board
        self.address = address
        self.states = bytearray(32)
        self.number = 0
        self._blank()

    def _blank(self):
        self.state = BLANK
        self.next = _ENTRIES  # the first entry that can be written
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
        if struct.unpack_from("<I", raw, 28)[0] != crc32(bytes(view[4:28]), _ONES):
            self.state = CORRUPT
            return
        if raw[8] < _VERSION:
            raise _NeedsErase
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
        while self.next < _ENTRIES and self.entry_state(self.next) != _EMPTY:
            self.next += 1
        # Written, but the power went before its state was: the first word tells.
        while self.next < _ENTRIES and bytes(view[_FIRST + 32 * self.next :][:4]) != b"\xff\xff\xff\xff":
            self._set_states(self.next, self.next + 1, _ERASED)
            self.next += 1

    def _mend_active(self, view):
        index = 0
        while index < self.next:
            span = 1
            state = self.entry_state(index)
            if state == _WRITTEN:
                item = bytes(view[_FIRST + 32 * index :][:32])
                if not _sound(item):
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
        while index < _ENTRIES:
            span = 1
            if self.entry_state(index) == _WRITTEN:
                item = bytes(view[_FIRST + 32 * index :][:32])
                if not _sound(item):
                    self.erase_at(index, view)
                else:
                    span = item[2]
                    if _variable(item[1]) and not self._all_written(index, span):
                        self.erase_at(index, view)
            index += span
        self.next = _ENTRIES

    def _all_written(self, index, span):
        for entry in range(index, min(index + span, _ENTRIES)):
            if self.entry_state(entry) != _WRITTEN:
                return False
        return index + span <= _ENTRIES

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
        end = min(self.next, _ENTRIES)
        while index < end:
            span = 1
            if self.entry_state(index) == _WRITTEN:
                item = bytes(view[_FIRST + 32 * index :][:32])
                if _variable(item[1]):
                    span = max(1, item[2])
                yield index, item
            index += span

    def readable(self):
        return self.state in (ACTIVE, FULL, FREEING)

    def used(self):
        count = 0
        for index in range(_ENTRIES):
            if self.entry_state(index) == _WRITTEN:
                count += 1
        return count

    def tailroom(self):
        """Bytes of a chunk that still fit."""
        if self.state == BLANK:
            return _CHUNK_MAX
        if self.state != ACTIVE or self.next >= _ENTRIES - 1:
            return 0
        return (_ENTRIES - self.next - 1) * 32

    def write(self, namespace, kind, key, data, chunk=_NO_CHUNK):
        """Write one item: its head, then its data; each first as bytes, then as state."""
        if self.state == BLANK:
            self._start()
        span = 1 + (len(data) + 31) // 32 if _variable(kind) else 1
        if self.state != ACTIVE or self.next + span > _ENTRIES:
            raise _PageFull
        head = bytearray(b"\xff" * 32)
        struct.pack_into("<BBBB", head, 0, namespace, kind, span, chunk)
        struct.pack_into("16s", head, 8, key.encode())
        if _variable(kind):
            struct.pack_into("<HHI", head, 24, len(data), 0xFFFF, crc32(bytes(data), _ONES))
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
        self._board.program(self.address + _FIRST + 32 * self.next, data)
        count = len(data) // 32
        self._set_states(self.next, self.next + count, _WRITTEN)
        self.next += count

    def _start(self):
        header = bytearray(b"\xff" * 32)
        struct.pack_into("<IIB", header, 0, ACTIVE, self.number, _VERSION)
        struct.pack_into("<I", header, 28, crc32(bytes(header[4:28]), _ONES))
        self._board.program(self.address, header)
        self.state = ACTIVE
        self.next = 0

    def erase_at(self, index, view=None):
        """Mark the item at `index`, with all it spans, as erased."""
        item = bytearray(32)
        if view is None:
            self._board.read(self.address + _FIRST + 32 * index, item)
        else:
            item[:] = view[_FIRST + 32 * index :][:32]
        span = item[2] if self.entry_state(index) == _WRITTEN and _sound(item) else 1
        end = min(index + max(1, span), _ENTRIES)
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
        while index < _ENTRIES:
            span = 1
            if self.entry_state(index) == _WRITTEN:
                self._board.read(self.address + _FIRST + 32 * index, entry)
                span = max(1, entry[2])
                for follower in range(index, min(index + span, _ENTRIES)):
                    self._board.read(self.address + _FIRST + 32 * follower, entry)
                    other._write_entries(entry)
            index += span


def _sound(item):
    return item_crc(item) == struct.unpack_from("<I", item, 4)[0] and item[2] > 0


class Storage:
    """All pages of one partition. Errors are OSError with ESP-IDF's numbers."""

    def __init__(self, board, address, size):
        self._board = board
        self._pages = [_Page(board, address + offset) for offset in range(0, size, SECTOR)]
        self._raw = bytearray(SECTOR)
        self._view = memoryview(self._raw)
        self._loaded = None  # the page that `_raw` holds
        try:
            self._load()
        except _NeedsErase:
            for page in self._pages:
                page.erase()
            self._load()

    # start: order the pages and mend what a power cut left

    def _load(self):
        self._free = []
        self._list = []  # in the order of their numbers; the last one is written to
        for page in self._pages:
            page.load(self._raw)
            if page.readable():
                self._list.append(page)
            else:
                self._free.append(page)
        self._loaded = None
        self._list.sort(key=lambda page: page.number)
        self._number = self._list[-1].number + 1 if self._list else 0
        if not self._list:
            self._activate()
        else:
            self._drop_duplicate()
            self._finish_freeing()
            if not self._free:
                raise _NeedsErase
        self._namespaces = {}
        for _, _, item in self._items():
            if item[0] == 0 and item[1] == U8:
                self._namespaces[_key(item)] = item[24]
        self._drop_broken_blobs()

    def _activate(self):
        if not self._free:
            fail(_NO_SPACE)
        page = self._free.pop(0)
        if page.state == CORRUPT:
            page.erase()
        page.number = self._number
        self._number += 1
        self._list.append(page)

    def _drop_duplicate(self):
        """The last item written may have an older twin on another page: the power went before that one was erased."""
        last = None
        for _, item in self._in(self._list[-1]):
            last = item
        if last is None:
            return
        for kind in (last[1], OLD_BLOB) if last[1] == INDEX else (last[1],):
            for page in self._list[:-1]:
                if page.state == FREEING:
                    continue
                for index, item in self._in(page):
                    if item[1] == kind and item[0] == last[0] and item[8:24] == last[8:24] and item[3] == last[3]:
                        page.erase_at(index)
                        return

    def _finish_freeing(self):
        for page in list(self._list):
            if page.state == FREEING:
                newest = self._list[-1]
                if newest.state == ACTIVE:
                    newest.erase()
                    self._list.remove(newest)
                    self._free.append(newest)
                self._move(page)
                break

    def _drop_broken_blobs(self):
        heads = []
        for page, index, item in self._items():
            if item[1] == INDEX:
                size, count, start = struct.unpack_from("<IBB", item, 24)
                heads.append([page, index, item[0], item[8:24], start, count, size, 0, 0])
        for _, _, item in self._items():
            if item[1] == CHUNK:
                for head in heads:
                    if item[0] == head[2] and item[8:24] == head[3] and item[3] & 0x80 == head[4]:
                        head[7] += 1
                        head[8] += struct.unpack_from("<H", item, 24)[0]
        sound = []
        for head in heads:
            if head[5] == head[7] and head[6] == head[8]:
                sound.append(head)
            else:
                head[0].erase_at(head[1])
        for page, index, item in self._items():
            if item[1] == CHUNK:
                for head in sound:
                    if item[0] == head[2] and item[8:24] == head[3] and head[4] <= item[3] < head[4] + head[5]:
                        break
                else:
                    page.erase_at(index)

    # walking and finding

    def _in(self, page):
        """Items of one page, read from flash at once."""
        if not page.readable():
            return
        self._board.read(page.address, self._raw)
        for found in page.items(self._view):
            yield found

    def _items(self):
        for page in list(self._list):
            for index, item in self._in(page):
                yield page, index, item

    def _find(self, namespace, kind, key, chunk=_NO_CHUNK, start=None):
        """(page, index, item), or None."""
        name = struct.pack("16s", key.encode())
        for page, index, item in self._items():
            if item[0] != namespace or item[8:24] != name:
                continue
            if kind == _ANY:
                if item[1] == CHUNK:
                    continue
            elif item[1] != kind or (kind == CHUNK and item[3] != chunk):
                continue
            if start is not None and item[29] != start:
                continue
            if _sound(item):
                return page, index, item
        return None

    # space

    def _new_page(self):
        """Make room: the next free page, or else the page with most garbage, moved to the last free one."""
        if not self._free:
            fail(-4363)  # ESP_ERR_NVS_INVALID_STATE
        if len(self._free) >= 2:
            self._activate()
            return
        worst, most = None, 0
        for page in self._list:
            unused = _ENTRIES - page.used()
            if unused > most:
                worst, most = page, unused
        if worst is None:
            fail(_NO_SPACE)
        worst.mark(FREEING)
        self._move(worst)

    def _move(self, page):
        self._activate()
        page.copy_to(self._list[-1])
        page.erase()
        self._list.remove(page)
        self._free.append(page)

    def _turn_page(self):
        if self._list[-1].state == ACTIVE:
            self._list[-1].mark(FULL)
        self._new_page()

    def _write(self, namespace, kind, key, data):
        try:
            self._list[-1].write(namespace, kind, key, data)
        except _PageFull:
            self._turn_page()
            try:
                self._list[-1].write(namespace, kind, key, data)
            except _PageFull:
                fail(_NO_SPACE)

    # what the API asks for

    def open(self, name):
        """Number of a namespace; it is made if there is none."""
        _check_key(name)
        self._board.alive()
        number = self._namespaces.get(name)
        if number is None:
            number = 1
            while number in self._namespaces.values():
                number += 1
            if number == 255:
                fail(_NO_SPACE)
            self._write(0, U8, name, bytes([number]))
            self._namespaces[name] = number
        return number

    def get_i32(self, namespace, key):
        found = self._get(namespace, I32, key)
        return struct.unpack_from("<i", found[2], 24)[0]

    def set_i32(self, namespace, key, value):
        _check_key(key)
        data = struct.pack("<i", value)
        found = self._find(namespace, I32, key)
        if found and found[2][24:28] == data:
            return
        found = found or self._find(namespace, _ANY, key)
        self._write(namespace, I32, key, data)
        self._drop(namespace, key, found)

    def get_blob(self, namespace, key, buffer):
        """Fill the buffer; the blob's size."""
        _check_key(key)
        found = self._find(namespace, INDEX, key)
        if found is None:
            found = self._get(namespace, OLD_BLOB, key)
            size = struct.unpack_from("<H", found[2], 24)[0]
            if size > len(buffer):
                fail(-4364)
            self._read(found, memoryview(buffer)[:size])
            return size
        size, count, start = struct.unpack_from("<IBB", found[2], 24)
        if size > len(buffer):
            fail(-4364)
        view = memoryview(buffer)
        done = 0
        for number in range(start, start + count):
            chunk = self._find(namespace, CHUNK, key, number)
            length = struct.unpack_from("<H", chunk[2], 24)[0] if chunk else 0
            if not chunk or length > size - done or not self._read(chunk, view[done : done + length]):
                self._erase_blob(namespace, key, start)
                fail(_NOT_FOUND)
            done += length
        return size

    def set_blob(self, namespace, key, value):
        _check_key(key)
        value = memoryview(value)
        if len(value) > min(len(self._pages) - 1, 127) * _CHUNK_MAX:
            fail(-4366)
        found = self._find(namespace, INDEX, key)
        start = 0
        if found:
            if self._same(namespace, key, found[2], value):
                return
            start = 0 if found[2][29] else 0x80
        else:
            found = self._find(namespace, _ANY, key)
        self._write_blob(namespace, key, value, start)
        self._drop(namespace, key, found)

    def erase(self, namespace, key):
        _check_key(key)
        found = self._find(namespace, _ANY, key)
        if found is None:
            fail(_NOT_FOUND)
        if found[2][1] == INDEX:
            self._erase_blob(namespace, key, found[2][29])
        else:
            found[0].erase_at(found[1])

    def _get(self, namespace, kind, key):
        _check_key(key)
        self._board.alive()
        found = self._find(namespace, kind, key)
        if found is None:
            fail(_NOT_FOUND)
        return found

    def _read(self, found, view):
        page, index, item = found
        self._board.read(page.address + _FIRST + 32 * (index + 1), view)
        return crc32(bytes(view), _ONES) == struct.unpack_from("<I", item, 28)[0]

    def _same(self, namespace, key, index_item, value):
        size, count, start = struct.unpack_from("<IBB", index_item, 24)
        if size != len(value):
            return False
        done = 0
        for number in range(start, start + count):
            chunk = self._find(namespace, CHUNK, key, number)
            if not chunk:
                return False
            old = bytearray(struct.unpack_from("<H", chunk[2], 24)[0])
            if not self._read(chunk, old) or old != bytes(value[done : done + len(old)]):
                return False
            done += len(old)
        return True

    def _write_blob(self, namespace, key, value, start):
        written = []
        done = 0
        try:
            while True:
                page = self._list[-1]
                room = page.tailroom()
                if not written and (room < len(value) or not room) and room < _CHUNK_MAX // 10:
                    self._turn_page()
                    if self._list[-1].tailroom() == room:
                        fail(_NO_SPACE)
                    continue
                if not room:
                    fail(_NO_SPACE)
                size = min(room, len(value) - done)
                page.write(namespace, CHUNK, key, value[done : done + size], start + len(written))
                written.append(page)
                done += size
                if done < len(value) or room - size < 32:
                    self._turn_page()
                if done == len(value):
                    break
            index = struct.pack("<IBBH", len(value), len(written), start, 0xFFFF)
            self._list[-1].write(namespace, INDEX, key, index)
        except OSError:
            self._give_up(namespace, key, written)
            raise

    def _give_up(self, namespace, key, pages):
        """What ESP-IDF does about chunks of a blob that didn't fit.

        It counts them from 0 whichever version it wrote, so on a full NVS the OLD value's chunks may be the ones that
        go, when they lie on the same page. Kept as it is: a board behaves like that.
        """
        name = struct.pack("16s", key.encode())
        for number, page in enumerate(pages):
            for index, item in self._in(page):
                if item[0] == namespace and item[1] == CHUNK and item[8:24] == name and item[3] == number:
                    page.erase_at(index)
                    break

    def _erase_blob(self, namespace, key, start):
        """The index first: chunks without one are garbage, an index without chunks would be a lie."""
        found = self._find(namespace, INDEX, key, start=start)
        if found is None:
            return
        found[0].erase_at(found[1])
        for number in range(start, start + found[2][28]):
            chunk = self._find(namespace, CHUNK, key, number)
            if chunk:
                chunk[0].erase_at(chunk[1])

    def _drop(self, namespace, key, found):
        """Erase the former value, wherever collecting garbage has moved it meanwhile."""
        if found is None:
            return
        item = found[2]
        if item[1] == INDEX:
            self._erase_blob(namespace, key, item[29])
            return
        for page, index, candidate in self._items():
            if candidate == item:
                page.erase_at(index)
                return


def _key(item):
    return item[8:24].split(b"\x00")[0].decode()


def _check_key(key):
    if not isinstance(key, str):
        raise TypeError("can't convert to str")
    if not key:
        fail(-258)
    if len(key.encode()) > 15:
        fail(-4361)
