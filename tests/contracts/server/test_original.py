"""How the original service had it: the same calls, by another path or in another form, with the same refusals."""

from __future__ import annotations

import hashlib
import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import uuid4

import httpx
import pytest

from thermokeeper.client.calls import OwnerClient
from thermokeeper.client.connection import Refused
from thermokeeper.server.local import LocalServer
from thermokeeper.server.rules.ratelimit import Rate
from thermokeeper.server.settings import Settings

NOBODY = "0" * 32
KEY = "ab" * 32
ACTIVATE = "/v1/provision/activate.json"
BARE = {"Accept": "text/json"}
TEXT = {"Content-Type": "text/json; charset=UTF-8"}


def _activate(http, serial):
    return http.put(f"/v1/things/activate/{serial}.json")


def _same(first, second):
    """Two refusals that tell no more than each other."""
    assert (first.status_code, first.json()) == (second.status_code, second.json())


# -- activation --------------------------------------------------------------------------------------------------------


def test_activation_by_path_gives_a_new_key_and_drops_the_old_one(shop, refused):
    device = shop.device()
    thing, old = device.thing, device.key
    response = _activate(shop.http, device.number)
    assert response.status_code == 200 and response.headers["cache-control"] == "no-store"
    assert set(response.json()) == {"apiKey", "thingId"} and response.json()["thingId"] == thing
    refused(device.call("GET", "/version.json"), 401, "unauthorized")
    device.key = response.json()["apiKey"]
    assert device.key != old and device.call("GET", "/version.json").status_code == 204
    assert shop.vendor.thing(thing).activation_count == 2


def test_a_serial_number_that_looks_like_a_call_of_a_thing_activates_too(shop):
    shop.vendor.add_serial(shop.tag, "version")
    assert _activate(shop.http, "version").status_code == 200


def test_activation_by_path_is_refused_as_the_other_form_without_a_proof(shop, refused):
    proving, blocked = shop.serial(proof_key=KEY), shop.serial()
    shop.vendor.block(blocked)
    board = shop.active_board()
    for serial, status, code in (
        (proving, 403, "proof_required"),
        (blocked, 403, "serial_blocked"),
        (board.uuid, 403, "other_service"),
        ("nobody", 404, "not_found"),
        ("-x", 404, "not_found"),
    ):
        response = _activate(shop.http, serial)
        refused(response, status, code)
        _same(response, shop.http.post(ACTIVATE, json={"serialNumber": serial}))
    refused(_activate(shop.http, "x" * 201), 400, "bad_request")
    assert shop.vendor.serial(proving).thing is None


def test_a_proof_in_a_body_does_not_help(shop, refused):
    number = shop.serial(proof_key=KEY)
    body = {"serialNumber": number, "nonce": NOBODY, "proof": KEY}
    refused(shop.http.put(f"/v1/things/activate/{number}.json", json=body), 403, "proof_required")


def test_where_a_product_demands_proofs_the_path_does_not_tell_which_numbers_there_are(tmp_path, make_shop):
    with LocalServer(tmp_path) as server, httpx.Client(base_url=server.url) as http:
        shop = make_shop(server, http)
        number, keyless, blocked = shop.serial(proof_key=KEY), shop.serial(), shop.serial()
        shop.vendor.block(blocked)
        shop.vendor.change_product(shop.tag, proof_required=True)
        answers = [_activate(http, serial) for serial in (number, keyless, blocked, "nobody", "a b")]
        assert {(answer.status_code, answer.text) for answer in answers} == {(403, answers[0].text)}
        shop.vendor.close()


def test_both_forms_of_activation_share_the_tries_at_a_serial_number(tmp_path, make_shop, refused):
    settings = replace(Settings(tmp_path, ""), serial_rate=Rate(burst=4, every_s=1000))
    with LocalServer(tmp_path, settings=settings) as server, httpx.Client(base_url=server.url) as http:
        shop = make_shop(server, http)
        number = shop.serial(proof_key=KEY)
        for _ in range(2):
            refused(_activate(http, number), 403, "proof_required")
            refused(http.post(ACTIVATE, json={"serialNumber": number}), 403, "proof_required")
        for response in (_activate(http, number), http.post(ACTIVATE, json={"serialNumber": number})):
            refused(response, 429, "too_many_tries")
            assert int(response.headers["retry-after"]) > 0
        shop.vendor.close()


# -- property values ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["21.5", "30", '"a b"', "true", "false", "null", '"Ü"'])
def test_a_bare_value_is_kept_and_given_back_as_it_came(shop, text):
    device = shop.device()
    path = "/properties/period/value.json"
    for headers in (TEXT, {"Content-Type": "application/json"}, {}):
        assert device.call("PUT", path, content=text, headers=headers).status_code == 204
        response = device.call("GET", path, headers=BARE)
        assert (response.status_code, json.loads(response.text)) == (200, json.loads(text))
        assert response.headers["content-type"].startswith("text/json") and response.headers["vary"] == "Accept"


def test_the_forms_are_of_one_value(shop):
    device = shop.device()
    path = "/properties/period/value.json"
    device.call("PUT", path, content="21.5", headers=TEXT)
    for accept in ("*/*", "application/json", ""):
        response = device.call("GET", path, headers={"Accept": accept})
        assert set(response.json()) == {"value", "at"} and response.json()["value"] == 21.5
        assert response.headers["content-type"] == "application/json" and response.headers["vary"] == "Accept"
    device.call("PUT", path, {"value": 30})
    assert device.call("GET", path, headers={"Accept": "text/html, Text/JSON;charset=UTF-8"}).text == "30"


@pytest.mark.parametrize("text", ["", "[1]", "{}", "NaN", "1e999", "21.5.", "x", '"' + "x" * 1025 + '"', '"\\ud800"'])
def test_a_bare_value_that_can_not_be_kept_is_refused(shop, refused, text):
    device = shop.device()
    for headers in (TEXT, {"Content-Type": "application/json"}):
        refused(device.call("PUT", "/properties/p/value.json", content=text, headers=headers), 400, "bad_request")
    refused(device.call("GET", "/properties/p/value.json", headers=BARE), 404, "not_found")


def test_points_may_be_called_text_json(shop):
    device = shop.device()
    path = "/events/temperature/datapoints.json"
    text = '[{"value": 21.5, "at": "2026-11-21T20:13:18.000+0000"}]'
    assert device.call("POST", path, content=text, headers=TEXT).status_code == 204
    assert [row.value for row in shop.vendor.datapoints(device.thing)] == [21.5]


# -- ids of events and properties --------------------------------------------------------------------------------------


def test_an_event_and_a_property_are_taken_by_the_id_that_is_listed(shop):
    device, other = shop.device(), shop.device()
    for one in (device, other):
        one.call("PUT", "/properties/temperature/value.json", {"value": 1})
        one.call("PUT", "/properties/other/value.json", {"value": 2})
        one.post_points([{"value": 20}])
    found = shop.vendor.thing(device.thing)
    ids = {row.name: row.id for row in found.properties}
    (reading,) = found.readings
    assert len({reading.id, *ids.values()} | {row.id for row in shop.vendor.thing(other.thing).properties}) == 5
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in (reading.id, *ids.values()))
    # what anybody can work out who knows thing and name, and so must never change
    text = f"thermokeeper property {device.thing} temperature"
    assert ids["temperature"] == hashlib.sha256(text.encode()).hexdigest()[:32]
    assert device.call("PUT", f"/properties/{ids['temperature']}/value.json", content="3").status_code == 204
    assert device.call("GET", f"/properties/{ids['temperature']}/value.json", headers=BARE).text == "3"
    assert device.call("GET", "/properties/temperature/value.json", headers=BARE).text == "3"
    assert device.post_points([{"value": 21}], event=reading.id).status_code == 204
    found = shop.vendor.thing(device.thing)
    assert [(row.event, row.value, row.count) for row in found.readings] == [("temperature", 21, 2)]
    assert [(row.name, row.value) for row in found.properties] == [("other", 2), ("temperature", 3)]
    with OwnerClient(shop.server.url, shop.owner().token) as owner:
        assert owner.claim(device.number).readings[0].id == reading.id


def test_the_id_of_nothing_makes_no_event_or_property(shop, refused):
    device, other = shop.device(), shop.device()
    for one in (device, other):
        one.call("PUT", "/properties/p/value.json", {"value": 1})
        one.post_points([{"value": 20}])
    known = shop.vendor.thing(other.thing)
    for property_id, event_id in ((NOBODY, NOBODY), (known.properties[0].id, known.readings[0].id)):
        refused(device.call("GET", f"/properties/{property_id}/value.json"), 404, "not_found")
        refused(device.call("PUT", f"/properties/{property_id}/value.json", {"value": 1}), 404, "not_found")
        refused(device.post_points([{"value": 1}], event=event_id), 404, "not_found")
    found = shop.vendor.thing(device.thing)
    assert (len(found.properties), len(found.readings)) == (1, 1)


# -- things of a name, and names ---------------------------------------------------------------------------------------


def test_a_thing_of_a_name_alone_is_refused_with_the_way_to_make_one(shop, refused):
    headers = {"X-OwnerToken": shop.owner().token}
    for body in ({"name": "Cellar"}, {"name": "Cellar", "description": "cold"}):
        assert "/v1/owner/claims.json" in refused(
            shop.http.post("/v1/things.json", json=body, headers=headers), 409, "needs_device"
        )
    refused(shop.http.post("/v1/things.json", json={"name": "Cellar"}), 401, "unauthorized")
    for name in ("", "a/b", " x", None):
        refused(shop.http.post("/v1/things.json", json={"name": name}, headers=headers), 400, "bad_request")
    assert shop.http.get("/v1/owner/things.json", headers=headers).json()["items"] == []


@pytest.fixture
def owner(shop):
    with OwnerClient(shop.server.url, shop.owner().token) as client:
        yield client


def _claim(shop, owner, number, name):
    body = {"serialNumber": number, "name": name}
    return shop.http.post(
        "/v1/owner/claims.json", json=body, headers={"X-OwnerToken": owner._http.headers["X-OwnerToken"]}
    )


@pytest.mark.parametrize("name", ["Kitchen_2", "Küche 2", "a-b", "台所", "x" * 64])
def test_an_owner_gives_names_of_letters_digits_underscores_spaces_and_hyphens(shop, owner, name):
    assert owner.claim(shop.serial(), name).name == name


@pytest.mark.parametrize("name", ["a/b", "a.b", "<b>", "Küche 🌡", "it's", "a\tb", "-  "])
def test_an_owner_gives_no_other_names(shop, owner, refused, name):
    number = shop.serial()
    refused(_claim(shop, owner, number, name), 400, "bad_request")
    assert shop.vendor.serial(number).thing is None


def test_an_owner_gives_no_name_twice_and_another_owner_may(shop, owner, refused):
    first, second = shop.serial(), shop.serial()
    assert owner.claim(first, "Cellar").name == "Cellar"
    refused(_claim(shop, owner, second, "Cellar"), 409, "name_taken")
    assert shop.vendor.serial(second).thing is None, "a claim that is refused makes nothing"
    assert owner.claim(first, "Cellar").name == "Cellar", "the same again is no clash"
    with OwnerClient(shop.server.url, shop.owner().token) as other:
        assert other.claim(second, "Cellar").name == "Cellar"
    with pytest.raises(Refused, match="name_taken"):
        owner.claim(shop.serial(), "Cellar")


def test_of_claims_and_renames_at_once_none_leaves_a_name_twice(shop, owner):
    numbers = [shop.serial() for _ in range(3)]
    devices = [shop.device() for _ in range(3)]
    for device in devices:
        owner.claim(device.number)

    def rename(device):
        with httpx.Client(base_url=shop.server.url, timeout=30) as http:
            path, headers = f"/v1/things/{device.thing}.json", {"X-ApiKey": device.key}
            return http.put(path, json={"name": "Cellar"}, headers=headers).status_code

    with ThreadPoolExecutor(6) as pool:
        claims = [pool.submit(lambda number=number: _claim(shop, owner, number, "Cellar")) for number in numbers]
        renames = [pool.submit(rename, device) for device in devices]
    statuses = sorted(claim.result().status_code for claim in claims)
    assert statuses in ([201, 409, 409], [409, 409, 409]) and [one.result() for one in renames] == [200] * 3
    names = [thing.name for thing in owner.things()]
    assert len(set(names)) == len(names) and "Cellar" in names


def test_things_that_have_the_same_name_when_they_are_claimed_get_numbers(shop, owner):
    devices = [shop.device() for _ in range(3)]
    for device in devices:
        assert device.call("PUT", ".json", {"name": "ThermometerDevice"}).json()["name"] == "ThermometerDevice"
    names = [owner.claim(device.number).name for device in devices]
    assert names == ["ThermometerDevice", "ThermometerDevice 2", "ThermometerDevice 3"]
    assert [owner.claim(device.number).name for device in devices] == names


def test_a_device_that_asks_for_a_name_that_is_taken_is_not_refused(shop, owner):
    devices = [shop.device() for _ in range(3)]
    for device in devices:
        owner.claim(device.number)
    names = ["ThermometerDevice", "ThermometerDevice 2", "ThermometerDevice 3"]
    for _ in range(2):  # as each activation of a board does
        for device, name in zip(devices, names, strict=True):
            response = device.call("PUT", ".json", {"name": "ThermometerDevice"})
            assert (response.status_code, response.json()["name"]) == (200, name)
    long = "x" * 64
    assert devices[0].call("PUT", ".json", {"name": long}).json()["name"] == long
    assert devices[1].call("PUT", ".json", {"name": long}).json()["name"] == "x" * 62 + " 2"
    assert len({thing.name for thing in owner.things()}) == 3


def test_boards_of_products_with_the_same_name_get_numbers_when_they_are_activated(shop, make_shop):
    other = make_shop(shop.server, shop.http)
    account = shop.owner()
    with OwnerClient(shop.server.url, account.token) as owner:
        for one in (shop, other):
            shop.vendor.grant_access(account.id, one.tag)
            board = shop.board().provision(shop.vendor.create_dms_token().token)
            owner.claim_device(board.uuid)
            assert board.activate(one.tag).status_code == 200
        assert sorted(thing.name for thing in owner.things()) == ["Thermometer 1", "Thermometer 2"]
    other.vendor.close()


def test_a_thing_that_was_there_before_its_device_came_with_a_token_gets_a_number_too(shop, owner):
    first = shop.device()
    first.call("PUT", ".json", {"name": "ThermometerDevice"})
    owner.claim(first.number)
    uuid = str(uuid4())
    shop.vendor.add_serial(shop.tag, uuid)
    found = _activate(shop.http, uuid).json()
    path, headers = f"/v1/things/{found['thingId']}.json", {"X-ApiKey": found["apiKey"]}
    named = shop.http.put(path, json={"name": "ThermometerDevice"}, headers=headers)
    assert named.json()["name"] == "ThermometerDevice", "nobody's yet"
    shop.vendor.create_dms_token(uuid=uuid)
    owner.claim_device(uuid)
    assert shop.vendor.thing(uuid).name == "ThermometerDevice 2"


def test_boards_with_a_token_get_numbers_too(shop):
    account = shop.owner()
    shop.vendor.grant_access(account.id, shop.tag)
    names = []
    with OwnerClient(shop.server.url, account.token) as owner:
        for _ in range(2):
            board = shop.board().provision(shop.vendor.create_dms_token().token)
            owner.claim_device(board.uuid)
            assert board.activate(shop.tag).status_code == 200
            assert board.call("PUT", "/thing", {"name": "ThermometerDevice"}).status_code == 200
        names = [thing.name for thing in owner.things()]
    assert sorted(names) == ["ThermometerDevice", "ThermometerDevice 2"]
