"""Gecko OS DMS for the campaign: the double, and the real server with a token, an owner and a second product.

A credential is offered until the board has shown it; from then on the token buys nothing more, so a board that loses a
credential that it has shown is lost.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgpack

from power.service import Double, Known, Real
from power.workshop import PRODUCT_OF, SERIAL
from thermokeeper.client.calls import OwnerClient
from thermokeeper.contract.dms_uuid import uuid_of

_OWNER = "Ada"


class DmsDouble(Double):
    """A device that has one token, and an owner with access to all products."""

    record = {"service": "gecko_dms", "token": "T0ken-of-the-campaign"}
    _uuid = uuid_of(SERIAL)

    def publish(self, version: str) -> None:
        """Publish it for its product."""
        self._state.published[PRODUCT_OF[version]] = version
        self._state.target = self._state.published.get(self._state.product or "")
        self.changes += 1

    def _answer(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        state = self._state
        call = (method, path.removeprefix("/dms/v1"))
        content = msgpack.unpackb(body) if body else None
        if call == ("POST", "/provision"):
            return self._provision(content)
        if state.key is None or headers.get("authorization") != f"Bearer {state.key}":
            return self.refusal(401, "unauthorized")
        if not state.key_used:
            state.key_used = True
            self.changes += 1
        if call == ("PUT", "/provision"):
            return 204, {}, b""
        if call == ("POST", "/activate"):
            return self._activate(content["product_code"])
        if state.product is None:
            return self.refusal(409, "not_activated")
        if call == ("GET", "/firmware"):
            return self._version(state.target)
        if call == ("GET", "/firmware/current"):
            return self._version(state.current)
        if firmware := re.fullmatch(r"/firmware/([0-9a-f]{32})", call[1]):
            if PRODUCT_OF[self._versions[firmware[1]]] != state.product:
                return self.refusal(404, "not_found")
            return self._firmware(firmware[1], headers)
        if call == ("POST", "/events/temperature"):
            return 204, {}, b""
        self.changes += 1
        if call == ("PUT", "/firmware"):
            if PRODUCT_OF[self._versions[content["id"]]] != state.product:
                return self.refusal(409, "other_product")
            state.current = self._versions[content["id"]]
            return 204, {}, b""
        if call == ("PUT", "/thing"):
            state.name = content["name"]
            return _packed({"id": self._thing, "name": state.name})
        if call == ("POST", "/firmware/failure"):
            state.failures.append(f"{content['version']} ({content['id']}): {content['why']}")
            return 204, {}, b""
        return self.refusal(404, "not_found")

    def _provision(self, content: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        if content["token"] != self.record["token"] or content["uuid"] != self._uuid:
            return self.refusal(403, "token_unknown")
        if self._state.key_used:
            return self.refusal(409, "token_acknowledged")
        self._state.activations += 1
        return _packed({"uuid": self._uuid, "credential": self._new_key()})

    def _activate(self, code: str) -> tuple[int, dict[str, str], bytes]:
        state = self._state
        if code != state.product:
            state.product, state.current, state.target = code, None, state.published.get(code)
            self.changes += 1
        version = self._described(state.target) if state.target else None
        return _packed({"product": code, "name": code.capitalize(), "thing": self._thing, "version": version})

    def _version(self, version: str | None) -> tuple[int, dict[str, str], bytes]:
        if version is None:
            return 204, {}, b""
        return _packed({**self._described(version), "size": len(self._releases[version])})

    @staticmethod
    def refusal(status: int, code: str) -> tuple[int, dict[str, str], bytes]:
        """An answer that says no."""
        return status, {}, msgpack.packb({"error": {"code": code, "message": code}})


class DmsReal(Real):
    """The real server, and the board as a device that was claimed before its first start."""

    def __init__(self, folder: Path, releases: dict[str, bytes]) -> None:
        super().__init__(folder, releases)
        self._uuid = uuid_of(SERIAL)
        self.record = {"service": "gecko_dms", "token": self._vendor.create_dms_token(uuid=self._uuid).token}
        owner = self._vendor.create_owner(_OWNER)
        for product in {PRODUCT_OF[version] for version in releases}:
            self._vendor.grant_access(_OWNER, product)
        with OwnerClient(self.url, owner.token) as client:
            client.claim_device(self._uuid)

    def known(self) -> Known:
        """What the vendor can see."""
        if self._vendor.dms_device(self._uuid).state != "activated":
            return Known()
        self._number = self._uuid
        return super().known()


def _packed(content: Any) -> tuple[int, dict[str, str], bytes]:
    return 200, {"Content-Type": "application/msgpack"}, msgpack.packb(content)
