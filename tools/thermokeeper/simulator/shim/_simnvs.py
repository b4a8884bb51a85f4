"""ESP-IDF's NVS, format version 2, on the simulated flash: keys and values over all pages, and their recovery.

Written so that each step reaches flash in ESP-IDF's order, because a power cut between two steps is what it is for.
It reads every type that `nvs_partition_gen` writes and writes i32 and blobs, these in chunks. It knows flash, and no
Python API; `_simnvspage` has the form of a page.
"""

import struct
from binascii import crc32

from _sim import SECTOR, fail
from _simnvspage import (
    ACTIVE,
    ANY,
    CHUNK,
    CHUNK_MAX,
    CORRUPT,
    ENTRIES,
    FIRST,
    FREEING,
    FULL,
    I32,
    INDEX,
    NO_CHUNK,
    OLD_BLOB,
    ONES,
    U8,
    NeedsErase,
    Page,
    PageFull,
    sound,
)
from micropython import const

_NOT_FOUND = const(-4354)
_NO_SPACE = const(-4357)


class Storage:
    """All pages of one partition. Errors are OSError with ESP-IDF's numbers."""

    def __init__(self, board, address, size):
        self._board = board
        self._pages = [Page(board, address + offset) for offset in range(0, size, SECTOR)]
        self._raw = bytearray(SECTOR)
        self._view = memoryview(self._raw)
        self._loaded = None  # the page that `_raw` holds
        try:
            self._load()
        except NeedsErase:
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
                raise NeedsErase
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

    def _find(self, namespace, kind, key, chunk=NO_CHUNK, start=None):
        """(page, index, item), or None."""
        name = struct.pack("16s", key.encode())
        for page, index, item in self._items():
            if item[0] != namespace or item[8:24] != name:
                continue
            if kind == ANY:
                if item[1] == CHUNK:
                    continue
            elif item[1] != kind or (kind == CHUNK and item[3] != chunk):
                continue
            if start is not None and item[29] != start:
                continue
            if sound(item):
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
            unused = ENTRIES - page.used()
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
        except PageFull:
            self._turn_page()
            try:
                self._list[-1].write(namespace, kind, key, data)
            except PageFull:
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
        found = found or self._find(namespace, ANY, key)
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
        if len(value) > min(len(self._pages) - 1, 127) * CHUNK_MAX:
            fail(-4366)
        found = self._find(namespace, INDEX, key)
        start = 0
        if found:
            if self._same(namespace, key, found[2], value):
                return
            start = 0 if found[2][29] else 0x80
        else:
            found = self._find(namespace, ANY, key)
        self._write_blob(namespace, key, value, start)
        self._drop(namespace, key, found)

    def erase(self, namespace, key):
        _check_key(key)
        found = self._find(namespace, ANY, key)
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
        self._board.read(page.address + FIRST + 32 * (index + 1), view)
        return crc32(bytes(view), ONES) == struct.unpack_from("<I", item, 28)[0]

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
                if not written and (room < len(value) or not room) and room < CHUNK_MAX // 10:
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
