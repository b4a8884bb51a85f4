"""What a call costs doesn't grow with the fleet: no query of it walks a table that grows with the things."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine

from contracts.server.conftest import DATABASE_URL
from contracts.server.queries import watched
from thermokeeper.client.calls import OwnerClient
from thermokeeper.server.storage.database import DATABASE_FILE


@pytest.fixture
def engine(shop):
    if DATABASE_URL:
        pytest.skip("the plans are SQLite's")
    engine = create_engine(f"sqlite:///{shop.server.settings.data_dir / DATABASE_FILE}")
    yield engine
    engine.dispose()


def test_no_call_of_a_device_walks_the_fleet(shop, engine):
    version = shop.version("1", b"firmware", publish=True)
    with watched() as queries:
        device = shop.device()
        device.call("GET", "/target-version.json")
        device.call("GET", f"/v1/versions/{version.id}/firmware.bin")
        device.call("PUT", "/version.json", {"id": version.id})
        device.call("GET", "/version.json")
        device.call("GET", "/available-versions.json")
        device.call("PUT", ".json", {"name": "Cellar"})
        device.call("PUT", "/properties/period/value.json", {"value": 30})
        device.call("GET", "/properties/period/value.json")
        device.post_points([{"value": 21.5, "at": "2026-11-21T20:13:18Z"}])
        shop.active_board()
    assert len(queries.seen) > 20
    assert queries.walks(engine) == []


def test_no_list_walks_the_fleet(shop, engine):
    version = shop.version("1", b"firmware", publish=True)
    device = shop.device()
    device.call("PUT", "/version.json", {"id": version.id})
    device.post_points([{"value": 21.5}])
    owner = shop.owner()
    headers = {"X-OwnerToken": owner.token}
    with watched() as queries:
        vendor = shop.vendor
        list(vendor.things()), vendor.thing(device.thing), list(vendor.serials(shop.tag)), vendor.serial(device.number)
        list(vendor.datapoints(device.thing)), list(vendor.datapoints(device.thing, "temperature"))
    assert len(queries.seen) > 10
    assert queries.walks(engine) == []
    with watched() as queries:
        shop.http.post("/v1/owner/claims.json", json={"serialNumber": device.number}, headers=headers)
        shop.http.get("/v1/owner/things.json", headers=headers)
        shop.http.get(f"/v1/owner/things/{device.thing}/datapoints.json", headers=headers)
    assert queries.walks(engine) == []


def test_no_change_of_owner_walks_the_fleet_or_the_former_s_datapoints(shop, engine):
    device = shop.device()
    device.post_points([{"value": value} for value in range(50)])
    accounts = shop.owner(), shop.owner()
    with (
        OwnerClient(shop.server.url, accounts[0].token) as jane,
        OwnerClient(shop.server.url, accounts[1].token) as john,
        watched() as queries,
    ):
        jane.claim(device.number)
        john.claim(device.number, code=jane.hand_over(device.thing).code)
        list(john.datapoints(device.thing)), list(john.datapoints(device.thing, "temperature")), list(john.things())
        john.erase(device.thing)
        john.release(device.thing)
        shop.vendor.give_thing(device.thing, accounts[0].id)
        shop.vendor.release_thing(device.thing)
        shop.vendor.renew_token(accounts[0].id), shop.vendor.delete_owner(accounts[0].id)
    assert len(queries.seen) > 20
    assert any("datapoints.id > ?" in query for query in queries.seen)
    assert queries.walks(engine) == []


def test_nothing_that_comes_to_its_end_walks_the_fleet(shop, engine):
    device, numbers = shop.device(), [shop.serial() for _ in range(3)]
    device.post_points([{"value": 1}])
    with watched() as queries:
        shop.vendor.erase_thing(device.thing)
        shop.vendor.delete_thing(device.thing)
        for number in (device.number, *numbers):
            shop.vendor.retire_serial(number)
        for status in ("new", "active", "blocked", "retired"):
            list(shop.vendor.serials(shop.tag, status))
        shop.vendor.retire_product(shop.tag)
    assert len(queries.seen) > 20
    assert queries.walks(engine) == []


def test_a_page_takes_as_many_queries_as_one_of_its_items(shop):
    version = shop.version("1", b"firmware", publish=True)
    for _ in range(25):
        device = shop.device()
        device.call("PUT", "/version.json", {"id": version.id})
        device.post_points([{"value": 21.5}])
        device.call("PUT", "/properties/period/value.json", {"value": 30})
    with watched() as queries:
        assert len([thing for thing in shop.vendor.things() if thing.product == shop.tag]) == 25
    assert queries.count <= 6
    with watched() as queries:
        assert len(list(shop.vendor.serials(shop.tag))) == 25
    assert queries.count <= 6
    owner = shop.owner()
    headers = {"X-OwnerToken": owner.token}
    for serial in shop.vendor.serials(shop.tag):
        shop.http.post("/v1/owner/claims.json", json={"serialNumber": serial.serial_number}, headers=headers)
    with watched() as queries:
        assert len(shop.http.get("/v1/owner/things.json", headers=headers).json()["items"]) == 25
    assert queries.count <= 6
