"""What a call costs doesn't grow with the fleet: no query of it walks a table that grows with the things."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event

GROWING = (
    *("things", "serials", "datapoints", "readings", "reading_hours", "property_values"),
    *("dms_devices", "dms_token_uses", "audit", "vendor_tokens"),
)
# Where a step "scans" it: the rows of a list in its index's order, until the page is full.
IN_ORDER = ("USING INDEX", "USING COVERING INDEX")
OF_MANY = re.compile(r"\((product_id|template_id|target_version_id|current_version_id)=\?\)")


class Queries:
    """The SELECTs that a server made while it was watched, with their parameters, each text once."""

    def __init__(self) -> None:
        self.seen: dict[str, Any] = {}
        self.count = 0

    def heard(self, _connection, _cursor, statement: str, parameters: Any, *_more: Any) -> None:
        self.count += 1
        if statement.lstrip().upper().startswith(("SELECT", "UPDATE", "DELETE")):
            self.seen.setdefault(statement, parameters)

    def plans(self, engine: Engine, part: str) -> list[str]:
        """The steps of those statements that have this part."""
        with engine.connect() as connection:
            return [
                row[3]
                for statement, parameters in self.seen.items()
                if part in statement
                for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            ]

    def walks(self, engine: Engine) -> list[str]:
        """Steps that look at each row of a table that grows, or at all that belong to one product, owner or version."""
        found = []
        with engine.connect() as connection:
            for statement, parameters in self.seen.items():
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                for step in (row[3] for row in plan):
                    walked = step.startswith("SCAN ") and step.split()[1] in GROWING
                    if (walked and not any(way in step for way in IN_ORDER)) or OF_MANY.search(step):
                        found.append(f"{step}: {statement}")
        return found


@contextmanager
def watched() -> Iterator[Queries]:
    queries = Queries()
    event.listen(Engine, "before_cursor_execute", queries.heard)
    try:
        yield queries
    finally:
        event.remove(Engine, "before_cursor_execute", queries.heard)


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


def test_a_page_takes_as_many_queries_as_one_of_its_items(shop):
    version = shop.version("1", b"firmware", publish=True)
    for _ in range(25):
        device = shop.device()
        device.call("PUT", "/version.json", {"id": version.id})
        device.post_points([{"value": 21.5}])
        device.call("PUT", "/properties/period/value.json", {"value": 30})
    with watched() as queries:
        assert len([thing for thing in shop.vendor.things() if thing.product == shop.tag]) == 25
    assert queries.count <= 8
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
