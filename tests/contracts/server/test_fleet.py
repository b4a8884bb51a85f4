"""What a call costs doesn't grow with the fleet: no query of it walks a table that grows with the things."""

from __future__ import annotations

from contracts.server.queries import watched
from thermokeeper.client.calls import OwnerClient


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
        device.call("PUT", ".json", {"name": "Cellar"})
        shop.http.get(f"/v1/owner/things/{device.thing}/available-versions.json", headers=headers)
        shop.http.put(f"/v1/owner/things/{device.thing}/target-version.json", json={"id": version.id}, headers=headers)
        shop.http.delete(f"/v1/owner/things/{device.thing}/target-version.json", headers=headers)
        device.call("PUT", f"/properties/{'0' * 32}/value.json", {"value": 1})
        device.post_points([{"value": 1}], event="0" * 32)
        shop.http.put(f"/v1/things/activate/{device.number}.json")
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
        list(shop.vendor.versions(shop.template.id))
    # of many rows with the same version or template only the first one is looked at: EXISTS
    steps = [step for step in queries.walks(engine) if "(current_version_id=?)" not in step.split(":")[0]]
    assert [step for step in steps if not step.startswith(("SEARCH versions", "SEARCH product_keys"))] == []


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
    assert [step for step in queries.walks(engine) if not step.startswith("SEARCH product_keys")] == []


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


def test_a_page_of_devices_that_provision_themselves_takes_as_many_queries_as_one_of_them(shop):
    owner, token = shop.owner(), shop.vendor.create_dms_token(uses=12).token
    shop.vendor.grant_access(owner.id, shop.tag)
    with OwnerClient(shop.server.url, owner.token) as client:
        for number in range(12):
            board = shop.board().provision(token)
            client.claim_device(board.uuid)
            if number % 2:
                assert board.activate(shop.tag).status_code == 200
        with watched() as queries:
            assert len(list(client.devices())) == 12
        assert queries.count <= 5
    with watched() as queries:
        assert len([row for row in shop.vendor.dms_devices() if row.owner == owner.name]) == 12
    assert queries.count <= 5


def _first_page_and_second(shop, path, mark):
    """Both answered; `mark` is one to go on from."""
    headers = {"X-VendorToken": shop.server.vendor_token}
    for query in ("limit=1", f"limit=1000&after={mark}"):
        assert shop.http.get(f"/v1/vendor{path}?{query}", headers=headers).status_code == 200


def test_no_list_of_a_vendors_own_sorts_or_walks_its_table(shop, engine):
    for number in range(3):
        shop.version(str(number), publish=True)
    shop.owner()
    with watched() as queries:
        for path, mark in (
            ("/templates.json", "A"),
            ("/products.json", "A"),
            ("/owners.json", "A"),
            (f"/templates/{shop.template.id}/versions.json", f"20000101T000000.000000-{shop.template.id}"),
        ):
            _first_page_and_second(shop, path, mark)
    assert len(queries.seen) >= 5
    own = ("FROM templates", "FROM products", "FROM owners", "FROM versions")  # what belongs to an item is little
    steps = [*queries.walks(engine), *queries.sorts(engine)]
    assert [step for step in steps if any(table in step for table in own)] == []


def test_a_page_of_templates_or_versions_takes_as_many_queries_as_one_item(shop):
    for number in range(20):
        template = shop.vendor.create_template(f"T{number} {shop.tag}")
        shop.version("1", template=template.id, publish=True)
        shop.version(f"V{number}")
    with watched() as queries:
        assert len([row for row in shop.vendor.templates() if row.name.endswith(shop.tag)]) == 21
    assert queries.count <= 4
    headers = {"X-VendorToken": shop.server.vendor_token}
    with watched() as queries:
        url = f"/v1/vendor/templates/{shop.template.id}/versions.json"
        assert len(shop.http.get(url, headers=headers).json()["items"]) == 20
    assert queries.count <= 6
