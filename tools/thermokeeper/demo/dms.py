"""The demo's story with Gecko OS DMS: a token, a credential, a claim by somebody who may, and then the product."""

import json
from collections.abc import Iterator
from typing import Any, ClassVar

from thermokeeper.client.calls import OwnerClient
from thermokeeper.contract.dms_schemas import DmsDevice, DmsToken
from thermokeeper.contract.dms_uuid import uuid_of
from thermokeeper.contract.schemas import Thing
from thermokeeper.demo.story import SERIAL, Story
from thermokeeper.demo.telling import Watcher
from thermokeeper.demo.workshop import PRODUCT
from thermokeeper.errors import ToolError
from thermokeeper.formats.partitions import table_for
from thermokeeper.simulator import nvs

OWNER = "Jane Doe"


class DmsStory(Story):
    kept: ClassVar = {"keeper/dms": "credential, product and thing id; the token isn't in it any more"}
    number = uuid_of(SERIAL)

    def register(self) -> dict[str, Any]:
        token = self.vendor.create_dms_token(uuid=self.number)
        self.telling.line("vendor", f"made a provisioning token for serial {SERIAL}")
        self.telling.line("vendor", f"(its uuid {self.number} follows from it), registered product Thermometer")
        return {"service": "gecko_dms", "token": token.token}

    def join(self, watcher: Watcher) -> None:
        with self.telling.step("boot, provision, acknowledge"):
            watcher.wait_for("identity", SERIAL, "reading the serial from flash")
            watcher.wait_for("provision", f"done: device {self.number}", "provisioning")
            self._expect("acknowledged")
            self._expect_used_token()
            self.telling.line("server", "has the acknowledgement; the token is used")
        with self.telling.step("wait to be claimed"):
            watcher.wait_for("wait", "nobody has claimed this device", "the refusal of a device without an owner")
            owner = self.vendor.create_owner(OWNER)
            self.vendor.grant_access(OWNER, PRODUCT)
            self.telling.line("vendor", f"granted {OWNER} access to product Thermometer")
            with OwnerClient(self.vendor.url, owner.token) as client:
                client.claim_device(self.number)
            self.telling.line("owner", f"{OWNER} claimed device {self.number}")
        with self.telling.step("activate to the product"):
            watcher.wait_for("activate", f"of product {PRODUCT}$", "activation to the product")
            self._expect("activated")

    def outcome(self, thing: Thing) -> Iterator[tuple[str, str]]:
        device = self._expect("activated")
        if (device.product, device.owner, device.thing) != (PRODUCT, OWNER, thing.id):
            raise ToolError(f"the server knows device {device.uuid} of {device.owner}, product {device.product}")
        token = self._expect_used_token()
        self._check_nvs(thing)
        yield "", f"device {device.uuid}, {device.state} to product {device.product}, claimed by {device.owner}"
        yield "", f"its token is {token.state}: taken {token.taken} of {token.uses}"

    def _expect(self, state: str) -> DmsDevice:
        device = self.vendor.dms_device(self.number)
        if device.state != state:
            raise ToolError(f"the server says that the device is {device.state}, not {state}")
        return device

    def _expect_used_token(self) -> DmsToken:
        (token,) = self.vendor.dms_tokens()
        if (token.state, token.taken, token.acknowledged) != ("used", 1, 1):
            raise ToolError(f"the token is {token.state}, not used")
        return token

    def _check_nvs(self, thing: Thing) -> None:
        part = table_for("4MiB")["nvs"]
        found = nvs.read(self.flash.read_bytes()[part.offset : part.offset + part.size])
        record = json.loads(found.values.get(("keeper", "dms"), b"{}"))
        if not record.get("acked") or "token" in record or record.get("thing") != thing.id:
            raise ToolError("what NVS holds of the DMS isn't what the server knows")
