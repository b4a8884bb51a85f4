"""Records in NVS: whole or not at all, whatever else is there."""

import json

from esp32 import NVS

from fake_flash import fill_nvs
from keeper.errors import StateError
from keeper.nvs.state import RECORD_LIMIT, Store
from support import raises
from support_flash import Ended, attach, board


def _blob(name, data):
    NVS("keeper").set_blob(name, data)


def test_an_empty_nvs_has_no_records():
    with board():
        store = Store()
        assert store.load("cloud") is None
        assert store.load("release") is None


def test_a_record_outlives_a_reset():
    with board() as sim:
        Store().save("cloud", {"key": "abc", "named": True})
        attach(sim.path)
        record = Store().load("cloud")
        assert (record["key"], record["named"], record["v"]) == ("abc", True, 1)


def test_a_list_is_a_record_too():
    with board() as sim:
        Store("wifi").save("networks", [{"ssid": "a", "key": ""}])
        attach(sim.path)
        assert Store("wifi").load("networks") == [{"ssid": "a", "key": ""}]
        assert Store().load("networks") is None


def test_saving_what_is_there_costs_no_flash_operation():
    with board() as sim:
        store = Store()
        store.save("cloud", {"key": "abc"})
        before = sim.operations
        store.save("cloud", {"key": "abc"})
        assert sim.operations == before
        store.save("cloud", {"key": "abd"})
        assert sim.operations > before


def test_an_erased_record_is_gone_and_erasing_it_again_does_no_harm():
    with board():
        store = Store()
        store.save("cloud", {"key": "abc"})
        store.erase("cloud")
        assert store.load("cloud") is None
        store.erase("cloud")


def test_damaged_records_read_as_absent():
    with board():
        for damaged in (b"", b"{", b'{"key": "a', b"\xff\xfe", b'{"key": "\xff"}', b"7", b"null", b'"text"', b"{} x"):
            _blob("cloud", damaged)
            assert Store().load("cloud") is None, damaged


def test_a_value_of_another_type_reads_as_absent_and_can_be_replaced():
    with board():
        NVS("keeper").set_i32("cloud", 5)
        store = Store()
        assert store.load("cloud") is None
        store.save("cloud", {"key": "abc"})
        assert store.load("cloud")["key"] == "abc"


def test_a_record_longer_than_any_of_ours_reads_as_absent():
    with board():
        _blob("cloud", json.dumps({"key": "x" * RECORD_LIMIT}).encode())
        assert Store().load("cloud") is None


def test_a_record_that_would_be_too_long_is_refused_and_the_old_one_stays():
    with board():
        store = Store()
        store.save("cloud", {"key": "abc"})
        with raises(StateError, "fit"):
            store.save("cloud", {"key": "x" * RECORD_LIMIT})
        assert store.load("cloud")["key"] == "abc"


def test_a_record_as_long_as_allowed_is_kept():
    with board():
        size = RECORD_LIMIT - len(json.dumps({"k": "", "v": 1}))
        Store().save("cloud", {"k": "x" * size})
        assert len(Store().load("cloud")["k"]) == size


def test_a_newer_schema_is_still_read():
    with board():
        _blob("cloud", b'{"v": 7, "key": "abc", "thing": "t", "more": [1]}')
        record = Store().load("cloud")
        assert (record["key"], record["thing"], record["more"]) == ("abc", "t", [1])


def test_what_firmware_of_the_service_s_guide_stored_is_taken_over():
    with board():
        for name, value in (("apiKey", b"a" * 32), ("thingId", b"b" * 32), ("versionId", b"c" * 32)):
            _blob(name, value)
        cloud, release = Store().load("cloud"), Store().load("release")
        assert (cloud["key"], cloud["thing"], cloud["named"]) == ("a" * 32, "b" * 32, True)
        assert release["id"] == "c" * 32
        assert "digest" not in release


def test_an_incomplete_old_schema_is_no_record():
    with board():
        _blob("apiKey", b"a" * 32)
        assert Store().load("cloud") is None
        assert Store().load("release") is None
        _blob("thingId", b"")
        assert Store().load("cloud") is None


def test_old_values_that_are_no_text_are_not_used():
    with board():
        _blob("apiKey", b"\xff\xfe\x80")
        _blob("thingId", b"b" * 32)
        assert Store().load("cloud")["key"] == ""


def test_a_new_record_wins_over_the_old_schema_even_when_damaged():
    with board():
        _blob("versionId", b"c" * 32)
        Store().save("release", {"id": "new"})
        assert Store().load("release")["id"] == "new"
        _blob("release", b"damaged")
        assert Store().load("release") is None


def test_a_full_nvs_refuses_with_a_reason_and_keeps_what_it_has():
    with board() as sim:
        store = Store()
        store.save("cloud", {"key": "abc"})
        fill_nvs()
        with raises(StateError, "NVS is full: release"):
            store.save("release", {"id": "x" * 200})
        attach(sim.path)
        assert Store().load("cloud")["key"] == "abc"
        assert Store().load("release") is None


def test_an_nvs_too_full_for_a_namespace_of_ours_reads_as_empty():
    with board():
        fill_nvs()
        store = Store()
        assert store.load("cloud") is None
        with raises(StateError, "NVS is full: cloud"):
            store.save("cloud", {"key": "abc"})
        assert store.load("cloud") is None


def test_a_power_cut_in_a_save_leaves_the_old_record_or_the_new_one():
    old, new = {"key": "old" * 30}, {"key": "new" * 30}
    with board() as sim:
        Store().save("cloud", old)
        sim = attach(sim.path)
        Store().save("cloud", new)
        count = sim.operations
        assert count > 2
        for number in range(count):
            for moment in ("before", "middle", "after"):
                attach(sim.path)
                Store().save("cloud", old)
                attach(sim.path).settings["cuts"] = [{"operation": number, "moment": moment, "seed": number}]
                with raises(Ended):
                    Store().save("cloud", new)
                attach(sim.path)
                assert Store().load("cloud")["key"] in (old["key"], new["key"]), (number, moment)
