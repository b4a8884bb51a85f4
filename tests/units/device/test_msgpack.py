"""MessagePack: the bytes of the specification both ways, and nothing that isn't it, within bounds."""

import struct

from keeper.services.gecko_dms.packing import msgpack
from keeper.services.gecko_dms.packing.float64 import nearest
from support import raises

# value, its bytes as the specification has them
KNOWN = (
    (None, b"\xc0"),
    (False, b"\xc2"),
    (True, b"\xc3"),
    (0, b"\x00"),
    (127, b"\x7f"),
    (128, b"\xcc\x80"),
    (255, b"\xcc\xff"),
    (256, b"\xcd\x01\x00"),
    (65535, b"\xcd\xff\xff"),
    (65536, b"\xce\x00\x01\x00\x00"),
    ((1 << 32) - 1, b"\xce\xff\xff\xff\xff"),
    (1 << 32, b"\xcf\x00\x00\x00\x01\x00\x00\x00\x00"),
    ((1 << 64) - 1, b"\xcf" + b"\xff" * 8),
    (-1, b"\xff"),
    (-32, b"\xe0"),
    (-33, b"\xd0\xdf"),
    (-128, b"\xd0\x80"),
    (-129, b"\xd1\xff\x7f"),
    (-32769, b"\xd2\xff\xff\x7f\xff"),
    (-(1 << 63), b"\xd3\x80" + b"\x00" * 7),
    (1.5, b"\xcb\x3f\xf8" + b"\x00" * 6),
    (-0.0, b"\xcb\x80" + b"\x00" * 7),
    ("", b"\xa0"),
    ("abc", b"\xa3abc"),
    ("\u00e9\u20ac", b"\xa5\xc3\xa9\xe2\x82\xac"),
    ("x" * 31, b"\xbf" + b"x" * 31),
    ("x" * 32, b"\xd9\x20" + b"x" * 32),
    ("x" * 256, b"\xda\x01\x00" + b"x" * 256),
    (b"", b"\xc4\x00"),
    (b"ab", b"\xc4\x02ab"),
    (b"x" * 256, b"\xc5\x01\x00" + b"x" * 256),
    ([], b"\x90"),
    ([1, [2]], b"\x92\x01\x91\x02"),
    ([0] * 16, b"\xdc\x00\x10" + b"\x00" * 16),
    ({}, b"\x80"),
    ({"a": {"b": None}}, b"\x81\xa1a\x81\xa1b\xc0"),
)


def test_values_become_the_bytes_of_the_specification_and_back():
    for value, data in KNOWN:
        assert msgpack.dumps(value) == data, value
        found = msgpack.loads(data)
        assert found == value and type(found) is type(value), value


def test_any_kind_of_buffer_is_read():
    for kind in (bytes, bytearray, memoryview):
        assert msgpack.loads(kind(b"\x92\xa1a\xc4\x01b")) == ["a", b"b"]


def test_longer_forms_than_needed_are_understood():
    for data, value in (
        (b"\xcc\x05", 5),
        (b"\xcf" + b"\x00" * 7 + b"\x05", 5),
        (b"\xd3" + b"\xff" * 8, -1),
        (b"\xdb\x00\x00\x00\x01a", "a"),
        (b"\xc6\x00\x00\x00\x01a", b"a"),
        (b"\xdd\x00\x00\x00\x01\xc0", [None]),
        (b"\xdf\x00\x00\x00\x01\xa1a\x01", {"a": 1}),
        (b"\xca\x3f\xc0\x00\x00", 1.5),
    ):
        assert msgpack.loads(data) == value, data


def test_what_has_many_members_or_long_texts_is_written_too():
    assert msgpack.dumps({"%02d" % number: 0 for number in range(16)})[:3] == b"\xde\x00\x10"
    assert msgpack.dumps("x" * 65536)[:5] == b"\xdb\x00\x01\x00\x00"
    assert msgpack.dumps((1, 2)) == b"\x92\x01\x02"
    assert msgpack.dumps(bytearray(b"ab")) == b"\xc4\x02ab"


def test_what_can_t_be_written_is_refused():
    deep = []
    for _ in range(20):
        deep = [deep]
    endless = []
    endless.append(endless)
    for value in (1 << 64, -(1 << 63) - 1, float("nan"), float("inf"), float("-inf"), {1: 2}, {b"a": 1}, set(), object):
        with raises(ValueError):
            msgpack.dumps([value])
    for value in (deep, endless):
        with raises(ValueError, "nested too deep"):
            msgpack.dumps(value)


def test_what_is_cut_off_anywhere_is_refused():
    for _, data in KNOWN:
        for size in range(len(data)):
            with raises(ValueError, "cut off"):
                msgpack.loads(data[:size])
    with raises(ValueError, "followed by something else"):
        msgpack.loads(b"\xc0\xc0")


def test_types_that_nobody_needs_are_refused():
    for code in (0xC1, 0xC7, 0xC8, 0xC9, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8):
        with raises(ValueError, "isn't known"):
            msgpack.loads(bytes([code]) + b"\x01" * 30)


def test_names_are_text_and_stand_once():
    for data in (b"\x81\x01\x02", b"\x81\xc0\x02", b"\x81\xc4\x01a\x02", b"\x81\xc3\x02"):
        with raises(ValueError, "isn't text"):
            msgpack.loads(data)
    with raises(ValueError):
        msgpack.loads(b"\x81\x90\x02")
    with raises(ValueError, "twice"):
        msgpack.loads(b"\x82\xa1a\x01\xd9\x01a\x02")


def test_text_that_isn_t_utf_8_is_refused():
    for text in (b"\xff", b"\x80", b"\xc3", b"\xe2\x82"):
        with raises(ValueError, "UTF-8"):
            msgpack.loads(bytes([0xA0 + len(text)]) + text)


def test_numbers_that_are_none_are_refused():
    for data in (b"\xca\x7f\x80\x00\x00", b"\xca\xff\xc0\x00\x00", b"\xcb\xff\xf0", b"\xcb\x7f\xf8"):
        with raises(ValueError, "none"):
            msgpack.loads(data + bytes(9 - len(data) if data[0] == 0xCB else 0))


def test_bounds_hold_before_memory_is_taken():
    with raises(ValueError, "longer than 4096"):
        msgpack.loads(bytes(4097))
    assert msgpack.loads(b"\xc5\x0f\xfd" + bytes(4093)) == bytes(4093)
    with raises(ValueError, "longer than 10"):
        msgpack.loads(bytes(11), 10)
    with raises(ValueError, "nested too deep"):
        msgpack.loads(b"\x91" * 4096)
    for data in (b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdc\x01\x01", b"\x92\xdc\x00\xf0" + bytes(240)):
        with raises(ValueError, "too many members"):
            msgpack.loads(data + b"\xdc\x00\x0f" + bytes(15))
    for data in (b"\xdb\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xda\x10\x00"):
        with raises(ValueError, "cut off"):
            msgpack.loads(data + bytes(100))


def test_a_decimal_text_becomes_the_float_nearest_to_it():
    texts = "0.0 -0.0 21.3 -21.3 1e-07 1e+38 3.4028235e+38 85.0 0.0625 1.401298e-45 9007199254740993 "
    texts += "9007199254740992.5 5e-324 2.2250738585072014e-308 1.7976931348623157e+308"
    for text in texts.split():
        assert nearest(text) == struct.pack(">d", float(text)), text


def test_a_board_with_short_floats_says_what_it_shows():
    """On the ESP32 21.3 is 21.299999237..., shown as 21.3."""
    real = msgpack._FLOATS_ARE_SHORT
    assert not real, "these interpreters have 64 bits"
    try:
        msgpack._FLOATS_ARE_SHORT = True
        for value in (21.3, -0.1, 85.0, 1e-7):
            assert msgpack.dumps(value) == b"\xcb" + struct.pack(">d", value)
    finally:
        msgpack._FLOATS_ARE_SHORT = real
