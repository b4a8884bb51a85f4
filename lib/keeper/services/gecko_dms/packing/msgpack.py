"""MessagePack, small: what JSON can say, and bytes. What came from outside is read within bounds, as in jsontext.

Pure; must not know what it is about. Both ways there are no ext types, no names but text, and no infinite numbers.
A float is written as the 64-bit number nearest to its text: where floats have 32 bits, as on the ESP32, 21.3 would
otherwise arrive as 21.299999237.
"""

import struct

from keeper.services.gecko_dms.packing.float64 import nearest

_DEPTH_LIMIT = 8
_MEMBER_LIMIT = 256  # of all arrays and maps together
_FLOATS_ARE_SHORT = struct.unpack(">f", struct.pack(">f", 0.1))[0] == 0.1
_INFINITE = (float("inf"), float("-inf"))

_NUMBERS = (">f", ">d", ">B", ">H", ">I", ">Q", ">b", ">h", ">i", ">q")  # the types from 0xca on
_SIZES = (">B", ">H", ">I")


def dumps(value):
    """Bytes for None, bool, int, float, str, bytes, list, tuple or dict; ValueError for anything else."""
    out = bytearray()
    _put(out, value, _DEPTH_LIMIT)
    return bytes(out)


def loads(data, limit=4096):
    """What `data` (bytes-like, at most `limit` bytes) says; ValueError, with the reason, if it isn't MessagePack."""
    if len(data) > limit:
        raise ValueError("longer than %d bytes" % limit)
    reader = _Reader(data)
    value = reader.value(_DEPTH_LIMIT)
    if reader.left:
        raise ValueError("followed by something else")
    return value


def _put(out, value, depth):
    if value is None:
        out.append(0xC0)
    elif value is True or value is False:
        out.append(0xC3 if value else 0xC2)
    elif isinstance(value, int):
        _put_integer(out, value)
    elif isinstance(value, float):
        if value != value or value in _INFINITE:
            raise ValueError("not a number that can be written")
        out.append(0xCB)
        out.extend(nearest(repr(value)) if _FLOATS_ARE_SHORT else struct.pack(">d", value))
    elif isinstance(value, str):
        data = value.encode()
        _put_size(out, len(data), 0xA0, 32, 0xD9)
        out.extend(data)
    elif isinstance(value, (bytes, bytearray)):
        _put_size(out, len(value), 0, 0, 0xC4)
        out.extend(value)
    elif not isinstance(value, (list, tuple, dict)):
        raise ValueError("%s can't be written" % value.__class__.__name__)
    elif not depth:
        raise ValueError("nested too deep")
    elif isinstance(value, dict):
        _put_size(out, len(value), 0x80, 16, 0xDD)
        for name in value:
            if not isinstance(name, str):
                raise ValueError("a name that isn't text")
            _put(out, name, 0)
            _put(out, value[name], depth - 1)
    else:
        _put_size(out, len(value), 0x90, 16, 0xDB)
        for one in value:
            _put(out, one, depth - 1)


def _put_size(out, size, short, short_limit, code):
    """The head of a text or a collection: `short` with the size in it, else one of three types from `code` on."""
    if size < short_limit:
        out.append(short | size)
    elif size < 0x100 and code not in (0xDB, 0xDD):  # collections have no type with a size of one byte
        out.extend(struct.pack(">BB", code, size))
    elif size < 0x10000:
        out.extend(struct.pack(">BH", code + 1, size))
    else:
        out.extend(struct.pack(">BI", code + 2, size))


def _put_integer(out, value):
    if -32 <= value < 128:
        out.append(value & 0xFF)
        return
    for number in range(4):
        bits = 8 << number
        if 0 <= value < 1 << bits:
            out.append(0xCC + number)
            out.extend(struct.pack(_NUMBERS[2 + number], value))
            return
        if -(1 << bits - 1) <= value < 0:
            out.append(0xD0 + number)
            out.extend(struct.pack(_NUMBERS[6 + number], value))
            return
    raise ValueError("a number of more than 64 bits")


class _Reader:
    def __init__(self, data):
        self._data = memoryview(data)
        self._at = 0
        self._members_left = _MEMBER_LIMIT
        self.left = len(data)

    def value(self, depth):
        code = self._number(">B")
        if code < 0x80:
            return code
        if code >= 0xE0:
            return code - 0x100
        if code < 0x90:
            return self._map(code & 15, depth)
        if code < 0xA0:
            return self._array(code & 15, depth)
        if code < 0xC0:
            return self._text(code & 31)
        if code in (0xC0, 0xC2, 0xC3):
            return None if code == 0xC0 else code == 0xC3
        if 0xC4 <= code <= 0xC6:
            return bytes(self._take(self._number(_SIZES[code - 0xC4])))
        if 0xCA <= code <= 0xD3:
            number = self._number(_NUMBERS[code - 0xCA])
            if code <= 0xCB and (number != number or number in _INFINITE):
                raise ValueError("a number that is none")
            return number
        if 0xD9 <= code <= 0xDB:
            return self._text(self._number(_SIZES[code - 0xD9]))
        if 0xDC <= code <= 0xDD:
            return self._array(self._number(_SIZES[code - 0xDB]), depth)
        if 0xDE <= code:
            return self._map(self._number(_SIZES[code - 0xDD]), depth)
        raise ValueError("a type that isn't known here")

    def _array(self, count, depth):
        self._enter(count, depth)
        return [self.value(depth - 1) for _ in range(count)]

    def _map(self, count, depth):
        self._enter(count, depth)
        found = {}
        for _ in range(count):
            name = self.value(0)
            if not isinstance(name, str):
                raise ValueError("a name that isn't text")
            if name in found:
                raise ValueError("a name twice")
            found[name] = self.value(depth - 1)
        return found

    def _enter(self, count, depth):
        """Allow for so many members, before anything is made for them."""
        if not depth:
            raise ValueError("nested too deep")
        self._members_left -= count
        if self._members_left < 0:
            raise ValueError("of too many members")

    def _text(self, size):
        text = self._take(size)
        try:
            return str(text, "utf-8")
        except ValueError:
            raise ValueError("text that isn't UTF-8")

    def _number(self, form):
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def _take(self, size):
        if size > self.left:
            raise ValueError("cut off")
        at = self._at
        self._at += size
        self.left -= size
        return self._data[at : at + size]
