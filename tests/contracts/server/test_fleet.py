"""What a call costs doesn't grow with the fleet: no query of it walks a table that grows with the things."""

from __future__ import annotations

from contracts.server.queries import watched


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


def test_no_version_is_published_or_given_by_a_walk_through_the_fleet(shop, engine):
    first, second = shop.version("1", b"firmware", publish=True), shop.version("2", b"another")
    device = shop.device()
    device.call("PUT", "/version.json", {"id": first.id})
    with watched() as queries:
        shop.vendor.publish(second.id)
        shop.vendor.change_serial(device.number, target_version=first.id)
        shop.vendor.change_version(first.id, update_to_version=second.id)
        shop.version("3", b"a third")
        shop.vendor.versions(shop.template.id)
    # of many rows with the same version or template only the first one is looked at: EXISTS
    steps = [step for step in queries.walks(engine) if "(current_version_id=?)" not in step.split(":")[0]]
    assert [step for step in steps if not step.startswith(("SEARCH versions", "SEARCH product_keys"))] == []


def test_a_page_takes_as_many_queries_as_one_of_its_items(shop):
    version = shop.version("1", b"firmware", publish=True)
    for _ in range(25):
        device = shop.device()
        device.call("PUT", "/version.json", {"id": version.id})
        device.post_points([{"value": 21.5}])
        device.call("PUT", "/properties/period/value.json", {"value": 30})
    with watched() as queries:
        assert len([thing for thing in shop.vendor.things() if thing.product == shop.tag]) == 25
    assert queries.count <= 9
    with watched() as queries:
        assert len(list(shop.vendor.serials(shop.tag))) == 25
    assert queries.count <= 8
    owner = shop.owner()
    headers = {"X-OwnerToken": owner.token}
    for serial in shop.vendor.serials(shop.tag):
        shop.http.post("/v1/owner/claims.json", json={"serialNumber": serial.serial_number}, headers=headers)
    with watched() as queries:
        assert len(shop.http.get("/v1/owner/things.json", headers=headers).json()["items"]) == 25
    assert queries.count <= 6
