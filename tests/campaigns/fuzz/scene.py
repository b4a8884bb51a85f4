"""A server with one of everything in it, so that calls at random meet what is there as well as what isn't."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from contracts.server.conftest import DATABASE_URL, FAST, Shop
from thermokeeper.client.calls import OwnerClient
from thermokeeper.server.local import LocalServer
from thermokeeper.server.settings import Settings

_SPARE = 3  # of what a call may delete, block or revoke


class Scene:
    """Who calls with which key, and what is there, by the names that paths and bodies have for it."""

    def __init__(self, server: LocalServer, shop: Shop) -> None:
        self.url = server.url
        self.document: dict[str, Any] = shop.http.get("/openapi.json").json()
        vendor = shop.vendor
        versions = [shop.version(f"{number}", publish=number == 0).id for number in range(_SPARE)]
        versions.append(shop.version("empty", None).id)
        device = shop.device()
        device.call("PUT", "/version.json", {"id": versions[0]})
        device.call("PUT", "/properties/period/value.json", {"value": 30})
        device.post_points([{"value": 21.5}, {"value": -3.25}])
        board = shop.active_board()
        owner = shop.owner()
        with OwnerClient(server.url, owner.token) as client:
            client.claim(device.number)
        accounts = [vendor.create_account(f"Account {number}", "viewer").id for number in range(_SPARE)]
        tokens = [vendor.create_account_token(accounts[0], "laptop").id for _ in range(_SPARE)]
        dms_tokens = [vendor.create_dms_token() for _ in range(_SPARE)]
        self.headers = {
            "vendors": {"X-VendorToken": server.vendor_token},
            "owners": {"X-OwnerToken": owner.token},
            "devices": {"X-ApiKey": device.key},
            "dms": {"Authorization": f"Bearer {board.credential}"},
            "server": {},
        }
        serials = [shop.serial() for _ in range(_SPARE)]
        groups = {
            ("template_id", "template", "defaultTemplate"): [shop.template.id],
            ("version_id", "id", "targetVersion", "updateToVersion"): versions,
            ("code", "product_code"): [shop.tag],
            ("number", "serialNumber"): serials,
            ("thing_id",): [device.thing],
            ("uuid",): [board.uuid],
            ("owner_id",): [owner.id],
            ("account_id",): accounts,
            ("token_id",): [*tokens, *(token.id for token in dms_tokens)],
            ("token",): [token.token for token in dms_tokens],
        }
        self._there = {name: values for names, values in groups.items() for name in names}
        self._in_paths = {"event": ["temperature"], "name": ["period"]}

    def there(self, name: str, number: int, in_path: bool) -> str | None:
        """One of what is there by this name; None if there is no such name."""
        found = self._there.get(name) or (self._in_paths.get(name) if in_path else None)
        return found[number % len(found)] if found else None


@contextmanager
def scene(folder: Path) -> Iterator[Scene]:
    """A server of its own, on what THERMOKEEPER_TEST_DATABASE names if it does.

    It has no limits on tries: they are tested elsewhere, and would end this soon.
    """
    settings = Settings(folder, "0" * 32, serial_rate=FAST, client_rate=FAST, points_rate=replace(FAST, burst=1e9))
    with (
        LocalServer(folder, settings=settings, database_url=DATABASE_URL) as server,
        httpx.Client(base_url=server.url, timeout=30) as http,
    ):
        shop = Shop(server, http)
        try:
            yield Scene(server, shop)
        finally:
            shop.vendor.close()
