"""What lives of boards of the service gecko_dms need beyond the kit: tokens, owners, other products, the console."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import msgpack

from lives.kit import SERIAL, Company, Life
from thermokeeper.client.calls import OwnerClient, VendorClient
from thermokeeper.contract import dms_schemas
from thermokeeper.contract.dms_uuid import uuid_of
from thermokeeper.demo.workshop import PRODUCT
from thermokeeper.server.storage.database import DATABASE_FILE

OWNER = "Ada"
UNCLAIMED = "nobody has claimed this device"

# The calls of a board, as a front sees them.
PROVISION = "POST /dms/v1/provision"
ACKNOWLEDGE = "PUT /dms/v1/provision"
ACTIVATE = "POST /dms/v1/activate"
RENAME = "PUT /dms/v1/thing"
TARGET = "GET /dms/v1/firmware$"
CURRENT = "GET /dms/v1/firmware/current"
CONFIRM = "PUT /dms/v1/firmware$"
FAILURE = "POST /dms/v1/firmware/failure"
READINGS = "POST /dms/v1/events/temperature"
RELEASE = "GET /dms/v1/firmware/[0-9a-f]{32}"
STEPS = {
    "provision": PROVISION,
    "acknowledge": ACKNOWLEDGE,
    "activate": ACTIVATE,
    "rename": RENAME,
    "target": TARGET,
    "current": CURRENT,
    "release": RELEASE,
    "confirm": CONFIRM,
}


class DmsLife(Life):
    """A board whose factory record says gecko_dms; the server knows it by its uuid."""

    def __init__(self, folder: Path, company: Company, serial: str = SERIAL) -> None:
        super().__init__(folder, company, serial, register=False)
        self.number = uuid_of(serial)

    def made(self, release: Path | None = None, size: int | None = None, **record: Any) -> DmsLife:
        super().made(release, size, service="gecko_dms", **record)
        return self

    @property
    def device(self) -> dms_schemas.DmsDevice:
        """The device as the vendor sees it."""
        return self.vendor.dms_device(self.number)

    @property
    def record(self) -> Any:
        """What NVS holds of the service."""
        return self.stored("dms")

    def steps(self) -> list[str]:
        """The calls of the life cycle so far, in words."""
        asked = {id(request): name for name, call in STEPS.items() for request in self.front.asked(call)}
        return [asked[id(request)] for request in list(self.front.requests) if id(request) in asked]

    def ask(self, line: str) -> Any:
        """The board's answer to a line that a program types on its console."""
        self.board.type(f"json {line}")
        return json.loads(self.says("answer"))

    def told(self) -> str:
        """All that the board has said."""
        return "\n".join(event.text for event in list(self.events))

    def failure(self) -> str | None:
        """What the server was told of a release that failed."""
        with sqlite3.connect(self.company.server.settings.data_dir / DATABASE_FILE) as database:
            wanted = "select value from property_values where thing_id = ? and name = 'updateFailure'"
            row = database.execute(wanted, (self.thing.id,)).fetchone()
        return row and json.loads(row[0])

    def provisioned_by_another(self, token: str) -> None:
        """Somebody who has a token for this device is provisioned as it, and acknowledges."""
        url = f"{self.company.server.url}/dms/v1/provision"
        kind = {"Content-Type": "application/msgpack"}
        body = msgpack.packb({"token": token, "uuid": self.number})
        answer = httpx.post(url, content=body, headers=kind).raise_for_status()
        credential = msgpack.unpackb(answer.content)["credential"]
        httpx.put(url, headers={"Authorization": f"Bearer {credential}"}).raise_for_status()


def owner_with_access(vendor: VendorClient) -> OwnerClient:
    """An owner whose devices may be of the product; to be closed."""
    made = vendor.create_owner(OWNER)
    vendor.grant_access(OWNER, PRODUCT)
    return OwnerClient(vendor.url, made.token)


def publish_product(company: Company, product: str, version: str) -> str:
    """Another product with a release of its own; the id of its version."""
    name, release = product.capitalize(), company.foundry.release(version, company.runtime.source, product=product)
    company.vendor.create_template(name)
    company.vendor.create_product(product, name, name, keys=company.vendor_keys)
    made = company.vendor.create_version(name, version)
    company.vendor.upload_firmware(made.id, release)
    company.vendor.publish(made.id)
    return made.id
