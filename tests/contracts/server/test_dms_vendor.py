"""The vendor's and the owner's side of devices that provision themselves: calls, commands, audit."""

import json
import re
from datetime import timedelta
from uuid import UUID

import pytest

from thermokeeper.client import commands as client_commands
from thermokeeper.client.calls import OwnerClient
from thermokeeper.client.connection import Refused
from thermokeeper.contract import times
from thermokeeper.contract.dms_uuid import uuid_of
from thermokeeper.errors import ToolError
from thermokeeper.server import commands as server_commands

GROUPS = [*server_commands.GROUPS, *client_commands.GROUPS]
_BY_NAME = {group.name: group for group in GROUPS}
NOBODY = "0" * 32


def _post(shop, path: str, body: object, **headers: str):
    return shop.http.post(f"/v1{path}", json=body, headers=headers or {"X-VendorToken": shop.server.vendor_token})


@pytest.mark.parametrize(
    "body",
    [
        {"uses": 0},
        {"uses": -1},
        {"uses": 1_000_001},
        {"uses": "many"},
        {"uses": 2, "uuid": "6fa1c0de-2c4b-8d1e-9a30-0d2b5e7f9c11"},
        {"uuid": "6FA1C0DE-2C4B-8D1E-9A30-0D2B5E7F9C11"},
        {"uuid": ""},
        {"expires": "2020-01-01T00:00:00Z"},
        {"expires": "soon"},
        {"name": ""},
        {"name": "a\nb"},
        {"token": "mine"},
        [],
    ],
)
def test_a_token_that_can_not_be_had(shop, refused, body):
    refused(_post(shop, "/vendor/dms/tokens.json", body), 400, "bad_request")


def test_a_token_is_shown_once_and_never_cached(shop):
    response = _post(shop, "/vendor/dms/tokens.json", {})
    assert response.status_code == 201 and response.headers["cache-control"] == "no-store"
    made = response.json()
    assert re.fullmatch("[A-Za-z0-9_-]{1,64}", made["token"])
    assert (made["uses"], made["taken"], made["state"], made["expires"]) == (1, 0, "open", None)
    listed = shop.http.get("/v1/vendor/dms/tokens.json?limit=1000", headers={"X-VendorToken": shop.server.vendor_token})
    assert made["id"] in listed.text and made["token"] not in listed.text


def test_lists_come_in_pages(shop, refused, monkeypatch):
    made = [shop.vendor.create_dms_token(uuid=shop.board().uuid) for _ in range(5)]
    monkeypatch.setattr("thermokeeper.client.connection._PAGE", 2)
    tokens = [token.id for token in shop.vendor.dms_tokens()]
    assert len(set(tokens)) == len(tokens) and set(tokens) >= {token.id for token in made}
    moments = [token.created for token in shop.vendor.dms_tokens()]
    assert moments == sorted(moments)
    uuids = [device.uuid for device in shop.vendor.dms_devices()]
    assert uuids == sorted(set(uuids)) and set(uuids) >= {token.uuid for token in made}
    lines = list(shop.vendor.audit())
    assert {token.id for token in made} <= {line.subject for line in lines}
    assert [line.at for line in lines] == sorted((line.at for line in lines), reverse=True)
    assert len(list(shop.vendor.audit(limit=3))) == 3
    vendor = {"X-VendorToken": shop.server.vendor_token}
    for path in ("dms/tokens.json?after=x", "audit.json?after=x", "audit.json?after=%00", "dms/tokens.json?after=%00"):
        refused(shop.http.get(f"/v1/vendor/{path}", headers=vendor), 400, "bad_request")
    refused(shop.http.get("/v1/vendor/dms/devices.json?limit=0", headers=vendor), 400, "bad_request")


@pytest.mark.parametrize(
    ("method", "path", "what"),
    [
        ("POST", f"/dms/tokens/{NOBODY}/revoke.json", "provisioning token"),
        ("GET", "/dms/devices/nothing.json", "device"),
        ("GET", "/dms/devices/%00.json", "device"),
        ("GET", f"/owners/{NOBODY}/products.json", "owner"),
        ("PUT", f"/owners/{NOBODY}/products/x.json", "owner"),
        ("DELETE", f"/owners/{NOBODY}/products/x.json", "owner"),
    ],
)
def test_what_is_not_there_is_not_found(shop, refused, method, path, what):
    headers = {"X-VendorToken": shop.server.vendor_token}
    assert what in refused(shop.http.request(method, f"/v1/vendor{path}", headers=headers), 404, "not_found")


def test_access_is_granted_and_withdrawn_for_products_that_are_there(shop, refused):
    owner = shop.owner()
    assert shop.vendor.access(owner.id) == []
    for _ in range(2):
        assert [found.product for found in shop.vendor.grant_access(owner.name, shop.tag)] == [shop.tag]
    with OwnerClient(shop.server.url, owner.token) as client:
        assert client.products() == shop.vendor.access(owner.id)
    for _ in range(2):
        assert shop.vendor.withdraw_access(owner.name, shop.tag) == []
    for call in (shop.vendor.grant_access, shop.vendor.withdraw_access):
        with pytest.raises(Refused, match="no such product"):
            call(owner.id, "nothing")
    lines = [(line.who, line.what, line.detail) for line in shop.vendor.audit(owner.name)]
    assert lines == [
        ("vendor", "access.withdrawn", f"product {shop.tag}"),
        ("vendor", "access.granted", f"product {shop.tag}"),
        ("vendor", "owner.created", ""),
    ]


@pytest.mark.parametrize("uuid", ["nothing", "\0", "x" * 200, "6FA1C0DE-2C4B-8D1E-9A30-0D2B5E7F9C11"])
def test_a_claim_of_no_device_is_not_found(shop, refused, uuid):
    refused(_post(shop, "/owner/dms/claims.json", {"uuid": uuid}, **{"X-OwnerToken": shop.owner().token}), 404)


@pytest.mark.parametrize("body", [{}, {"uuid": 5}, {"uuid": ""}, {"uuid": "x" * 201}, {"uuid": "x", "name": "y"}])
def test_a_malformed_claim_is_refused(shop, refused, body):
    refused(_post(shop, "/owner/dms/claims.json", body, **{"X-OwnerToken": shop.owner().token}), 400, "bad_request")


def test_the_audit_tells_a_device_s_life(shop):
    board = shop.board()
    token = shop.vendor.create_dms_token(uuid=board.uuid)
    board.keep(board.ask(token.token))
    board.provision(token.token)
    owner = shop.owner()
    shop.vendor.grant_access(owner.id, shop.tag)
    with OwnerClient(shop.server.url, owner.token) as client:
        client.claim_device(board.uuid)
    board.activate(shop.tag)
    shop.vendor.revoke_dms_token(token.id)
    shop.vendor.revoke_dms_token(token.id)
    thing = shop.vendor.thing(board.uuid).id
    by_device = f"device {board.uuid}"
    assert [(line.who, line.what, line.detail) for line in shop.vendor.audit(board.uuid)][::-1] == [
        (by_device, "device.provisioned", f"by token {token.id}"),
        (by_device, "device.provisioned", f"once more, by token {token.id}"),
        (by_device, "device.acknowledged", f"token {token.id}"),
        (f"owner {owner.name}", "device.claimed", ""),
        (by_device, "device.activated", f"product {shop.tag}, thing {thing}"),
    ]
    assert [(line.who, line.what, line.detail) for line in shop.vendor.audit(token.id)][::-1] == [
        ("vendor", "token.created", f"for device {board.uuid}"),
        ("vendor", "token.revoked", ""),
    ]


def test_a_uuid_is_made_from_the_serial_number_as_a_device_does():
    made = uuid_of("THERM00000000000001")
    assert made == "a3f26e1c-ffec-8954-b7de-22cdce7fee7a"
    assert UUID(made).version == 8
    assert UUID(made).variant == "specified in RFC 4122"
    assert len({uuid_of(f"S{number}") for number in range(100)}) == 100


# -- commands ----------------------------------------------------------------------------------------------------------


def test_a_vendors_day_with_devices_that_provision_themselves(run, shop):
    serial = f"D-{shop.tag}"
    uuid = run("dms", "uuid", serial).strip()
    assert uuid == uuid_of(serial)
    assert run("dms", "uuid", uuid).strip() == uuid
    made = run("dms", "token", "create", "--serial", serial, "--days", "30")
    token, token_id = (re.search(rf"^{name} +(\S+)$", made, re.MULTILINE)[1] for name in ("token", "id"))
    assert re.search(rf"for +{uuid}\n", made) and re.search(r"expires +20", made)
    board = shop.board(uuid).provision(token)
    listed = run("dms", "token", "list")
    assert re.search(rf"{token_id} .* used +{uuid} +1/1 +1 ", listed) and token not in listed
    assert re.search(r"state +acknowledged\n", run("dms", "device", "show", serial))
    account = json.loads(run("owner", "create", f"Jane {shop.tag}", "--json"))
    assert shop.tag in run("owner", "access", "grant", account["name"], shop.tag)
    assert shop.tag in run("owner", "access", "list", account["id"])
    as_owner = ("--owner-token", account["token"])
    assert re.search(rf"device +{uuid}\n", run("owner", "claim-device", serial, *as_owner))
    assert shop.tag in run("owner", "products", *as_owner)
    assert board.activate(shop.tag).status_code == 200
    assert re.search(rf"{uuid} +activated +{shop.tag}", run("owner", "devices", *as_owner))
    assert re.search(rf"{uuid} +activated +Jane {shop.tag} +{shop.tag}", run("dms", "device", "list"))
    assert re.search(r"state +revoked\n", run("dms", "token", "revoke", token_id))
    assert "(none)" in run("owner", "access", "withdraw", account["name"], shop.tag)
    audit = run("audit", "list", "--subject", uuid)
    assert "device.activated" in audit and "device.claimed" in audit
    assert [line["what"] for line in json.loads(run("audit", "list", "--subject", token_id, "--json"))] == [
        "token.revoked",
        "token.created",
    ]
    batch = json.loads(run("dms", "token", "create", "--uses", "5", "--name", "Batch", "--json"))
    assert (batch["uses"], batch["name"], batch["expires"]) == (5, "Batch", None)
    month = times.now() + timedelta(days=30)
    (own,) = [found for found in shop.vendor.dms_tokens() if found.id == token_id]
    assert own.expires is not None and abs((own.expires - month).total_seconds()) < 60


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("dms token create --serial S --uuid U", "not both"),
        ("dms token create --serial S --uses 2", "one use"),
        ("dms token create --uuid nonsense", "uuid"),
        ("dms token create --serial a/b", "neither a uuid nor a serial number"),
        ("dms token revoke nothing", "no such provisioning token"),
        ("dms device show nothing", "no such device"),
        ("dms uuid a/b", "neither a uuid nor a serial number"),
        ("owner access grant nobody x", "there is no owner 'nobody'"),
        ("owner claim-device S --owner-token 0123456789abcdef", "401"),
    ],
)
def test_trouble_is_one_line(run, words, message):
    with pytest.raises(ToolError, match=message) as raised:
        run(*words.split())
    assert "\n" not in str(raised.value)
