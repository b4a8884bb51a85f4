"""A board that isn't as it should be: its factory record, its NVS, what older firmware left there."""

import random

import httpx

from lives.kit import SERIAL, TABLE

CURRENT = "GET /v1/things/[0-9a-f]+/version"


def test_a_board_without_a_factory_record_only_measures(life):
    life.write("factory", b"\xff" * 4096)
    life.boots()
    life.says("identity", "no factory record: this board never got a serial")
    life.measures(1)
    assert not life.front.requests


def test_a_damaged_factory_record_is_said_and_not_used(life):
    record = bytearray(life.read("factory"))
    record[20] ^= 1
    life.write("factory", bytes(record))
    life.boots()
    life.says("identity", "damaged: checksum differs")
    life.measures(1)
    assert not life.front.requests


def test_a_board_with_a_full_nvs_says_so_and_goes_on_when_there_is_room(life):
    def fill(open_):
        other = open_("other")
        for number in range(1000):
            try:
                other.set_blob(f"junk{number}", bytes(500))
            except OSError:
                break
        for number in range(1000):
            try:
                other.set_i32(f"crumb{number}", number)
            except OSError:
                break

    def clear(open_):
        for number in range(10):
            open_("other").erase_key(f"junk{number}")

    life.change_nvs(fill)
    life.boots()
    life.says("wait", "NVS is full")
    life.measures(4)
    assert life.stored("cloud") is None
    life.off()
    tries = life.thing.activation_count
    assert tries <= 8
    life.change_nvs(clear)
    life.boots()
    life.says("confirm")
    life.measures(2)
    assert life.thing.activation_count == tries + 1
    assert life.readings()


def test_an_nvs_full_of_nonsense_is_survived(life):
    life.write("nvs", random.Random(1).randbytes(TABLE["nvs"].size))
    life.boots()
    life.says("wifi", "are taken from their copy")
    life.says("confirm")
    life.measures(3)


def test_records_that_make_no_sense_are_made_anew(life):
    def spoil(open_):
        open_("keeper").set_blob("cloud", b'{"v": 1, "key": 7, "thing": [')
        open_("keeper").set_blob("release", b'[{"id": {}}]')

    life.change_nvs(spoil)
    life.boots()
    life.says("version", "up to date: 1.0.0")
    life.off()
    assert life.stored("cloud")["thing"] == life.thing.id
    assert life.stored("release")["id"] == life.company.versions["1.0.0"].id


def test_what_firmware_of_schema_0_left_in_nvs_is_used_and_brought_up_to_date(life):
    url = f"{life.company.server.url}/v1"
    given = httpx.post(f"{url}/provision/activate.json", json={"serialNumber": SERIAL}).json()
    headers = {"X-ApiKey": given["apiKey"]}
    version_id = life.company.versions["1.0.0"].id
    httpx.put(f"{url}/things/{given['thingId']}/version.json", json={"id": version_id}, headers=headers)

    def as_once(open_):
        nvs = open_("keeper")
        nvs.set_blob("apiKey", given["apiKey"].encode())
        nvs.set_blob("thingId", given["thingId"].encode())
        nvs.set_blob("versionId", version_id.encode())

    life.change_nvs(as_once)
    life.boots()
    life.says("version", "up to date: 1.0.0")
    life.measures(2)
    assert life.thing.activation_count == 1 and not life.front.asked(CURRENT), "key and version are the stored ones"
    life.publish("2.0.0")
    life.says("version", "up to date: 2.0.0")
    life.off()
    assert life.thing.activation_count == 1
    assert life.stored("release")["id"] == life.company.versions["2.0.0"].id
