"""The original service's forms work beside ours: programs that were written for it, with a new address."""

from __future__ import annotations

import json

import pytest

from thermokeeper.server.rules.words import id_of

TEXT_JSON = {"Content-Type": "text/json; charset=UTF-8"}


def activate(shop, number: str, **options):
    return shop.http.put(f"/v1/things/activate/{number}.json", **options)


def test_activation_by_put_without_a_body_gives_a_key_that_works(shop):
    number = shop.serial()
    first = activate(shop, number)
    assert first.status_code == 200 and set(first.json()) == {"apiKey", "thingId"}
    assert first.headers["cache-control"] == "no-store"
    again = activate(shop, number)
    assert again.json()["thingId"] == first.json()["thingId"] and again.json()["apiKey"] != first.json()["apiKey"]
    path = f"/v1/things/{again.json()['thingId']}/target-version.json"
    statuses = [
        shop.http.get(path, headers={"X-ApiKey": found.json()["apiKey"]}).status_code for found in (first, again)
    ]
    assert statuses == [401, 204]


def test_activation_by_put_is_refused_as_ours_is_without_a_proof(shop, refused):
    proven, blocked = shop.serial(proof_key="ab" * 32), shop.serial()
    shop.vendor.block(blocked)
    refused(activate(shop, proven), 403, "proof_required")
    refused(activate(shop, blocked), 403, "serial_blocked")
    refused(activate(shop, "NO-SUCH-SERIAL"), 404, "not_found")
    refused(activate(shop, "no%20serial"), 400, "bad_request")


@pytest.mark.parametrize("value", [21.5, 0, -7, "warm", "", True, None, 1])
def test_a_property_is_set_and_read_as_the_bare_value(shop, value):
    device = shop.device()
    path = "/properties/target/value.json"
    sent = device.call("PUT", path, headers=TEXT_JSON, content=json.dumps(value))
    assert sent.status_code == 204, sent.text
    response = device.call("GET", path, headers={"Accept": "text/json"})
    assert response.headers["content-type"] == "text/json; charset=UTF-8"
    assert response.json() == value and type(response.json()) is type(value)
    assert device.call("GET", path).json()["value"] == value, "in our form"


def test_our_form_of_a_property_stays(shop, refused):
    device = shop.device()
    path = "/properties/target/value.json"
    assert device.call("PUT", path, {"value": 21.5}).status_code == 204
    assert set(device.call("GET", path).json()) == {"value", "at"}
    for wrong in ([21.5], {"volume": 1}, {"value": [1]}, {}):
        refused(device.call("PUT", path, wrong), 400, "bad_request")
    refused(device.call("PUT", path, headers=TEXT_JSON, content="21.5 and more"), 400, "bad_request")


def test_events_and_properties_are_addressed_by_their_ids_too(shop):
    device = shop.device()
    device.call("PUT", "/properties/target/value.json", {"value": 1})
    assert device.call("PUT", f"/properties/{id_of('target')}/value.json", 2).status_code == 204
    assert device.call("GET", "/properties/target/value.json").json()["value"] == 2
    device.post_points([{"value": 1.5}])
    assert device.post_points([{"value": 2.5}], event=id_of("temperature")).status_code == 204
    thing = shop.vendor.thing(device.thing)
    assert [(row.event, row.value, row.count, row.id) for row in thing.readings] == [
        ("temperature", 2.5, 2, id_of("temperature"))
    ]
    assert [(row.name, row.id) for row in thing.properties] == [("target", id_of("target"))]


def test_a_name_that_looks_like_an_id_is_a_name(shop):
    device = shop.device()
    name = "0123456789abcdef" * 2
    assert device.call("PUT", f"/properties/{name}/value.json", {"value": 1}).status_code == 204
    assert [row.name for row in shop.vendor.thing(device.thing).properties] == [name]
