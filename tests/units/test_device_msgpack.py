"""The device's MessagePack against the library that the server uses: each reads what the other writes."""

from __future__ import annotations

import struct
from typing import Any

import msgpack as library
from hypothesis import example, given
from hypothesis import strategies as st

from keeper.services.gecko_dms.packing import msgpack
from keeper.services.gecko_dms.packing.float64 import nearest

NUMBERS = st.integers(-(1 << 63), (1 << 64) - 1) | st.floats(allow_nan=False, allow_infinity=False)
LEAVES = st.none() | st.booleans() | NUMBERS | st.text(max_size=300) | st.binary(max_size=300)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=40), inner, max_size=20),
    max_leaves=60,
)


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(_depth, inner), default=0)


def _members(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return len(inner) + sum(map(_members, inner))


@given(VALUES.filter(lambda value: _depth(value) <= 8))
def test_each_reads_what_the_other_writes(value: Any) -> None:
    data = msgpack.dumps(value)
    assert data == library.packb(value)
    assert library.unpackb(data) == value
    if _members(value) <= 256:
        found = msgpack.loads(data, 1 << 20)
        assert found == value
        assert repr(found) == repr(value)  # 1 isn't True, and 0.0 isn't -0.0


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_short_floats_are_read(value: float) -> None:
    assert msgpack.loads(library.packb(value, use_single_float=True)) == value


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(5e-324)
@example(2.225073858507201e-308)
@example(1.7976931348623157e308)
@example(-0.0)
def test_a_float_s_text_becomes_the_float_itself(value: float) -> None:
    assert nearest(repr(value)) == struct.pack(">d", value)


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_what_a_board_with_short_floats_shows_arrives_as_shown(value: float) -> None:
    text = f"{value:.7g}"  # as MicroPython on the ESP32 shows it
    assert nearest(text) == struct.pack(">d", float(text))


@given(st.binary(max_size=400))
@example(b"\xc1")
@example(b"\xdd\xff\xff\xff\xff")
def test_any_bytes_are_what_the_library_reads_or_a_value_error(data: bytes) -> None:
    _same_or_refused(data)


def _same_or_refused(data: bytes) -> None:
    try:
        found = msgpack.loads(data)
    except ValueError as error:
        assert str(error)
    else:
        assert repr(found) == repr(library.unpackb(data))


@given(VALUES, st.data())
def test_what_is_harmed_is_what_the_library_reads_or_a_value_error(value: Any, draw: st.DataObject) -> None:
    data = bytearray(library.packb(value))
    at = draw.draw(st.integers(0, len(data) - 1))
    data[at] ^= draw.draw(st.integers(1, 255))
    _same_or_refused(bytes(data))
