"""Owners: claiming a device before and after its first call, and seeing only one's own."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from thermokeeper.client.calls import OwnerClient
from thermokeeper.client.connection import Refused


@pytest.fixture
def owner(shop):
    with OwnerClient(shop.server.url, shop.owner().token) as client:
        yield client


@pytest.fixture
def other(shop):
    with OwnerClient(shop.server.url, shop.owner().token) as client:
        yield client


def _claim(shop, client, body):
    token = client._http.headers["X-OwnerToken"]
    return shop.http.post("/v1/owner/claims.json", json=body, headers={"X-OwnerToken": token})


def test_a_claim_makes_the_thing_and_activation_leaves_it_as_it_is(shop, owner):
    number = shop.serial()
    response = _claim(shop, owner, {"serialNumber": number, "name": "ThermometerDevice"})
    assert response.status_code == 201
    thing = response.json()
    assert (thing["name"], thing["serialNumber"], thing["lastSeen"]) == ("ThermometerDevice", number, None)
    assert shop.vendor.serial(number).status == "new", "claimed is not activated"
    answer = shop.http.post("/v1/provision/activate.json", json={"serialNumber": number}).json()
    assert answer["thingId"] == thing["id"]
    assert shop.vendor.thing(number).name == "ThermometerDevice"
    assert shop.vendor.thing(number).owner == next(
        row.name for row in shop.vendor.owners() if row.name.endswith(shop.tag)
    )


def test_without_a_name_one_is_generated(shop, owner):
    assert owner.claim(shop.serial()).name == "Thermometer 1"


def test_an_existing_thing_keeps_its_name_unless_one_is_given(shop, owner):
    first, second = shop.device(), shop.device()
    assert owner.claim(first.number).name == "Thermometer 1"
    assert owner.claim(second.number, "Kitchen").name == "Kitchen"
    assert owner.claim(first.number).id == first.thing
    assert [thing.name for thing in owner.things()] == ["Thermometer 1", "Kitchen"]


def test_claiming_again_is_200_and_what_another_has_claimed_is_409(shop, owner, other, refused):
    number = shop.serial()
    body = {"serialNumber": number}
    assert [_claim(shop, owner, body).status_code for _ in range(2)] == [201, 200]
    refused(_claim(shop, other, {**body, "name": "Mine"}), 409, "claimed")
    assert shop.vendor.thing(number).name == "Thermometer 1"
    line, added = shop.vendor.audit(number)
    assert (
        added.what == "serial.added"
        and line.what == "serial.claimed"
        and line.who == f"owner {shop.vendor.thing(number).owner}"
    )


def test_of_two_claims_at_once_one_wins(shop, owner, other):
    number = shop.serial()
    with ThreadPoolExecutor(2) as pool:
        statuses = [
            response.status_code
            for response in pool.map(lambda client: _claim(shop, client, {"serialNumber": number}), (owner, other))
        ]
    assert sorted(statuses) == [201, 409]


def test_claims_that_are_refused(shop, owner, refused):
    refused(_claim(shop, owner, {"serialNumber": "nobody"}), 404, "not_found")
    refused(_claim(shop, owner, {"serialNumber": "a\0b"}), 404, "not_found")
    blocked = shop.serial()
    shop.vendor.block(blocked)
    refused(_claim(shop, owner, {"serialNumber": blocked}), 403, "serial_blocked")
    for body in ({}, {"serialNumber": 5}, {"serialNumber": blocked, "name": ""}, {"serialNumber": blocked, "x": 1}, []):
        refused(_claim(shop, owner, body), 400, "bad_request")
    refused(shop.http.post("/v1/owner/claims.json", json={"serialNumber": blocked}), 401, "unauthorized")


def test_an_owner_sees_the_readings_of_its_things_and_of_no_others(shop, owner, other, refused):
    device, foreign, nobodys = shop.device(), shop.device(), shop.device()
    owner.claim(device.number)
    other.claim(foreign.number)
    device.post_points([{"value": 20}, {"value": 21}])
    (thing,) = owner.things()
    assert thing == owner.thing(device.thing)
    assert [(row.event, row.value) for row in thing.readings] == [("temperature", 21.0)]
    assert [point.value for point in owner.datapoints(device.thing)] == [21.0, 20.0]
    headers = {"X-OwnerToken": owner._http.headers["X-OwnerToken"]}
    for path in (".json", "/datapoints.json"):
        for hidden in (foreign, nobodys):
            refused(shop.http.get(f"/v1/owner/things/{hidden.thing}{path}", headers=headers), 403, "forbidden")
        for nothing in ("0" * 32, "x", "%00"):
            refused(shop.http.get(f"/v1/owner/things/{nothing}{path}", headers=headers), 404, "not_found")
        refused(shop.http.get(f"/v1/owner/things/{device.thing}{path}"), 401, "unauthorized")


@pytest.mark.parametrize("kind", ["device", "vendor", "nothing", "half"])
def test_only_an_owners_token_opens(shop, owner, kind):
    mine = owner._http.headers["X-OwnerToken"]
    token = {"device": shop.device().key, "vendor": shop.server.vendor_token, "nothing": "-", "half": mine[:16]}[kind]
    with OwnerClient(shop.server.url, token) as client, pytest.raises(Refused) as refused:
        list(client.things())
    assert refused.value.status == 401
