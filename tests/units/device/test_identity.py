"""The factory record: read from its partition, or refused with a reason a person can act on."""

import json
import struct

from fake_flash import SERIAL, factory_record, sealed_record
from keeper.errors import FactoryError
from keeper.factory import identity
from support import raises
from support_flash import TABLE, board, table_bytes


def _changed(data, position, value):
    return data[:position] + bytes([value]) + data[position + 1 :]


def test_a_record_written_in_the_factory_is_read_from_flash():
    with board([("factory", factory_record(server="https://things.example:8443/", period_s=5, plain_http=None))]):
        found = identity.read()
    assert found.serial == SERIAL
    assert (found.product, found.service) == ("thermometer", "gadgetkeeper")
    assert found.server == "https://things.example:8443"
    assert found.extra["period_s"] == 5


def test_a_board_that_never_got_a_record_is_told_how_to_get_one():
    with board(), raises(FactoryError, "no factory record"):
        identity.read()


def test_every_damaged_byte_is_noticed():
    good = factory_record()
    for position in range(len(good)):
        with raises(FactoryError, "factory record"):
            identity.parse(_changed(good, position, good[position] ^ 0x20))
    identity.parse(good)


def test_a_damaged_record_in_flash_is_refused():
    good = factory_record()
    for position in (0, 9, 10, len(good) - 1):
        with board([("factory", _changed(good, position, good[position] ^ 1))]), raises(FactoryError, "factory record"):
            identity.read()


def test_an_impossible_length_is_refused_before_memory_is_taken():
    for size in (4096 - 13, 0xFFFF):
        data = b"TKFACT01" + struct.pack("<H", size)
        with board([("factory", data)]), raises(FactoryError, "length is impossible"):
            identity.read()
        with raises(FactoryError, "length is impossible"):
            identity.parse(data + bytes(4096 - len(data)))
    with raises(FactoryError, "length is impossible"):
        identity.parse(data + bytes(70000))


def test_a_record_that_fills_its_partition_is_read():
    text = json.dumps(json.loads(factory_record()[10:-4]))
    text += " " * (4096 - 14 - len(text))
    with board([("factory", sealed_record(text.encode()))]):
        assert identity.read().serial == SERIAL


def test_a_truncated_record_is_refused():
    good = factory_record()
    for size in (0, 7, 9, 10, len(good) - 1):
        with raises(FactoryError):
            identity.parse(good[:size])


def test_text_that_is_no_json_object_is_refused():
    for text in (b"", b"[]", b"7", b'"x"', b"null", b"{", b"{} x", b'{"serial": "\xff"}', b"\xff\xfe{\x00}\x00"):
        with raises(FactoryError, "not"):
            identity.parse(sealed_record(text))


def test_each_needed_member_must_be_there_and_be_text():
    for name in ("serial", "product", "service", "server"):
        for value in (None, "", 7, ["x"], "x" * 300):
            with raises(FactoryError, name):
                identity.parse(factory_record(**{name: value}))


def test_a_serial_with_odd_characters_is_refused():
    for serial in ("THERM 1", "THERM\n1", 'THERM"1', "THERM/1", "THÉRM1"):
        with raises(FactoryError, "serial"):
            identity.parse(factory_record(serial=serial))


def test_plain_http_has_to_be_allowed_by_the_record():
    for allowed in (None, False, 1, "true"):
        with raises(FactoryError, "http is not allowed"):
            identity.parse(factory_record(plain_http=allowed))
    assert identity.parse(factory_record()).server == "http://127.0.0.1:8000"


def test_servers_with_another_scheme_are_refused():
    for server in ("ftp://host", "host:8000", "HTTPS//host", "file:///x", "https://", "http://"):
        with raises(FactoryError, "server"):
            identity.parse(factory_record(server=server))


def test_a_flash_with_another_partition_table_is_named():
    table = [row for row in TABLE if row[0] != "factory"]
    blank = b"\xff" * 32
    with board([(0x8000, table_bytes(table) + blank)]), raises(FactoryError, "no partition"):
        identity.read()
