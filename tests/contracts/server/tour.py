"""A call of each kind that the vendor and an owner have, with what it needs to succeed: for tests that hold of all.

Who adds a call adds it to the tables here; the tests that use them say so.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from thermokeeper.client.calls import OwnerClient
from thermokeeper.contract import schemas
from thermokeeper.release import keys


class Call(NamedTuple):
    """A call of the page at /docs, by its operationId, with its template of a path."""

    name: str
    method: str
    path: str
    tag: str
    operation: dict[str, Any]


class Wanted:
    """What a call needs: values for its path, a body (bytes as they are, anything else as JSON), and of an owner's
    calls the owner, if it can't be any."""

    def __init__(self, body: Any = None, owner: schemas.NewOwner | None = None, **path: str) -> None:
        self.body, self.owner, self.path = body, owner, path


def calls_of(document: dict[str, Any], *tags: str) -> list[Call]:
    return [
        Call(operation["operationId"], method.upper(), path, operation["tags"][0], operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if operation["tags"][0] in tags
    ]


def made(shop: Any, call: Call, headers: dict[str, str], wanted: Wanted) -> httpx.Response:
    url = re.sub(r"{(\w+)}", lambda match: wanted.path.get(match[1], "nothing"), call.path)
    kind = "content" if isinstance(wanted.body, bytes) else "json"
    return shop.http.request(call.method, url, headers=headers, **{kind: wanted.body})


def _product(shop: Any) -> str:
    """Another one than the shop's, which would take only signed releases from then on."""
    return shop.vendor.create_product(f"a-{shop.serial()}"[:32], "Another", shop.template.id).code


def _account(shop: Any) -> str:
    return shop.vendor.create_account(f"Account of {shop.serial()}", "viewer").id


def _granted(shop: Any) -> Wanted:
    owner = shop.owner()
    shop.vendor.grant_access(owner.id, shop.tag)
    return Wanted(owner_id=owner.id, code=shop.tag)


def _blocked(shop: Any) -> Wanted:
    number = shop.serial()
    shop.vendor.block(number)
    return Wanted(number=number)


def _published(shop: Any) -> Wanted:
    shop.version(f"p{shop.serial()[:20]}", publish=True)
    return Wanted(template_id=shop.template.id)


def _owned(shop: Any) -> Wanted:
    """A device's thing that has an owner."""
    owner, device = shop.owner(), shop.device()
    with OwnerClient(shop.server.url, owner.token) as client:
        client.claim(device.number)
    return Wanted(None, owner, thing_id=device.thing)


def _offered(shop: Any) -> Wanted:
    wanted = _owned(shop)
    with OwnerClient(shop.server.url, wanted.owner.token) as client:
        client.hand_over(wanted.path["thing_id"])
    return wanted


def _choosing(shop: Any) -> Wanted:
    """A thing with a version that its owner may choose."""
    wanted = _owned(shop)
    version = shop.version(f"o{shop.serial()[:20]}", publish=True)
    return Wanted({"id": version.id}, wanted.owner, **wanted.path)


def _chosen(shop: Any) -> Wanted:
    wanted = _choosing(shop)
    with OwnerClient(shop.server.url, wanted.owner.token) as client:
        client.choose_target(wanted.path["thing_id"], wanted.body["id"])
    return wanted


def _claimed(shop: Any) -> Wanted:
    """A device that provisions itself and has an owner."""
    owner, board = shop.owner(), shop.board().provision(shop.vendor.create_dms_token().token)
    with OwnerClient(shop.server.url, owner.token) as client:
        client.claim_device(board.uuid)
    return Wanted(None, owner, uuid=board.uuid)


def _public_key() -> str:
    """Another one each time."""
    with tempfile.TemporaryDirectory() as folder:
        return keys.generate(Path(folder) / "key.pem", None).read_text()


def _version(shop: Any, firmware: bytes | None = b"firmware") -> schemas.Version:
    return shop.version(f"v{shop.serial()[:20]}", firmware)


# operationId of each call that changes something: what to give it so that it does
CHANGES: dict[str, Callable[[Any], Wanted]] = {
    "create_template": lambda shop: Wanted({"name": f"Another {shop.serial()}"}),
    "withdraw": _published,
    "create_version": lambda shop: Wanted({"name": f"c{shop.serial()[:20]}"}, template_id=shop.template.id),
    "change_version": lambda shop: Wanted({"description": "changed"}, version_id=_version(shop).id),
    "delete_version": lambda shop: Wanted(version_id=_version(shop).id),
    "upload_firmware": lambda shop: Wanted(b"firmware", version_id=_version(shop, None).id),
    "publish": lambda shop: Wanted({"force": True}, version_id=_version(shop).id),
    "create_product": lambda shop: Wanted(
        {"code": f"a-{shop.serial()}"[:32], "name": "Another", "defaultTemplate": shop.template.id, "force": True}
    ),
    "change_product": lambda shop: Wanted({"proofRequired": False}, code=shop.tag),
    "add_product_key": lambda shop: Wanted({"key": _public_key()}, code=_product(shop)),
    "remove_product_key": lambda shop: Wanted(code=shop.tag, key_id=shop.vendor.add_key(shop.tag, _public_key()).id),
    "add_serial": lambda shop: Wanted({"serialNumber": f"a-{shop.serial()}"}, code=shop.tag),
    "add_serials": lambda shop: Wanted({"serials": [{"serialNumber": f"b-{shop.serial()}"}]}, code=shop.tag),
    "change_serial": lambda shop: Wanted({"targetVersion": _version(shop).id, "force": True}, number=shop.serial()),
    "block_serial": lambda shop: Wanted(number=shop.serial()),
    "unblock_serial": _blocked,
    "retire_serial": lambda shop: Wanted(number=shop.serial()),
    "retire_product": lambda shop: Wanted(code=_product(shop)),
    "give_thing": lambda shop: Wanted({"owner": shop.owner().id}, thing_id=shop.device().thing),
    "release_thing": _owned,
    "erase_datapoints": lambda shop: Wanted(thing_id=shop.device().thing),
    "delete_thing": lambda shop: Wanted(thing_id=shop.device().thing),
    "renew_token": lambda shop: Wanted(owner_id=shop.owner().id),
    "revoke_token": lambda shop: Wanted(owner_id=shop.owner().id),
    "delete_owner": lambda shop: Wanted(owner_id=shop.owner().id),
    "release_dms_device": _claimed,
    "create_owner": lambda shop: Wanted({"name": f"Owner of {shop.serial()}"}),
    "grant_access": lambda shop: Wanted(owner_id=shop.owner().id, code=shop.tag),
    "withdraw_access": _granted,
    "create_dms_token": lambda shop: Wanted({"name": "one"}),
    "revoke_dms_token": lambda shop: Wanted(token_id=shop.vendor.create_dms_token().id),
    "create_account": lambda shop: Wanted({"name": f"Account {shop.serial()}", "role": "viewer"}),
    "change_account": lambda shop: Wanted({"role": "registrar"}, account_id=_account(shop)),
    "create_account_token": lambda shop: Wanted({"name": "laptop"}, account_id=_account(shop)),
    "revoke_account_token": lambda shop: Wanted(token_id=shop.vendor.create_account_token(_account(shop), "laptop").id),
    "claim": lambda shop: Wanted({"serialNumber": shop.serial()}),
    "claim_device": lambda shop: Wanted({"uuid": shop.board().provision(shop.vendor.create_dms_token().token).uuid}),
    "choose_target": _choosing,
    "leave_target": _chosen,
    "hand_over": _owned,
    "keep": _offered,
    "release": _owned,
    "release_own_device": _claimed,
    "erase_own_datapoints": _owned,
    "renew_own_token": lambda shop: Wanted(),
}
