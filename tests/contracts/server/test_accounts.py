"""Accounts of the vendor: what a role may do, and what becomes of tokens."""

from __future__ import annotations

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpx
import pytest

from contracts.server.test_fleet import watched
from contracts.server.tour import CHANGES, Wanted, calls_of, made
from thermokeeper.client.calls import VendorClient
from thermokeeper.client.connection import Refused
from thermokeeper.contract.times import now
from thermokeeper.errors import ToolError
from thermokeeper.server.app import create_app
from thermokeeper.server.local import LocalServer
from thermokeeper.server.rules import accounts
from thermokeeper.server.rules.roles import NEEDED, Role
from thermokeeper.server.settings import Settings
from thermokeeper.server.storage.copies import back_up
from thermokeeper.server.storage.database import Database

HEADER = "X-VendorToken"


@pytest.fixture
def as_(shop):
    """as_("viewer") -> a client with a new account's token, of that role."""
    opened = []

    def client(role: str) -> VendorClient:
        account = shop.vendor.create_account(f"{role} {shop.serial()}", role)
        opened.append(VendorClient(shop.server.url, shop.vendor.create_account_token(account.id, "laptop").token))
        return opened[-1]

    yield client
    for one in opened:
        one.close()


def _token_of(client: VendorClient) -> str:
    return client._http.headers[HEADER]


def test_each_call_of_the_vendor_has_its_role_and_no_other_is_listed(http):
    names = {call.name for call in calls_of(http.get("/openapi.json").json(), "vendors")}
    assert names == set(NEEDED), "say in rules/roles.py which role a call needs"


def test_the_page_at_docs_says_which_role_a_call_needs(http):
    for call in calls_of(http.get("/openapi.json").json(), "vendors"):
        assert call.operation["x-role"] == NEEDED[call.name].word, call.name
        assert "403" in call.operation["responses"], call.name


def test_a_role_that_is_less_gets_403_with_the_role_that_is_missing_and_changes_nothing(shop, as_, refused):
    """For every call, with each role that isn't enough."""
    clients = {role: as_(role.word) for role in Role}
    tokens = {role: _token_of(client) for role, client in clients.items()}
    calls = calls_of(shop.http.get("/openapi.json").json(), "vendors")
    tried = 0
    for call in calls:
        wanted = CHANGES[call.name](shop) if call.name in CHANGES else Wanted()
        for role in (role for role in Role if role < NEEDED[call.name]):
            message = refused(made(shop, call, {HEADER: tokens[role]}, wanted), 403, "role_needed")
            assert f"needs the role {NEEDED[call.name].word}" in message and message.endswith(f"is a {role.word}")
            tried += 1
    assert tried >= len([call for call in calls if NEEDED[call.name] > Role.VIEWER])
    for client in clients.values():
        assert list(shop.vendor.audit(who=f"account {client.own_account().account.name}")) == []


def test_the_role_that_is_named_is_enough(shop, as_):
    tokens = {role: _token_of(as_(role.word)) for role in Role}
    for call in calls_of(shop.http.get("/openapi.json").json(), "vendors"):
        wanted = CHANGES[call.name](shop) if call.name in CHANGES else Wanted()
        answer = made(shop, call, {HEADER: tokens[NEEDED[call.name]]}, wanted)
        assert answer.is_success or (answer.status_code == 404 and call.method == "GET"), (call, answer.text)


def test_a_call_that_nobody_gave_a_role_is_the_admin_s(monkeypatch, shop, as_, refused):
    monkeypatch.delitem(NEEDED, "list_things")
    token = _token_of(as_("publisher"))
    refused(shop.http.get("/v1/vendor/things.json", headers={HEADER: token}), 403, "role_needed")
    assert list(as_("admin").things()) is not None


def test_a_role_that_is_changed_and_a_block_hold_from_the_next_call_on(shop, as_):
    client = as_("viewer")
    account = client.own_account().account
    assert list(client.templates()) and account.role == "viewer"
    with pytest.raises(Refused, match="role publisher"):
        client.create_template(f"X {shop.tag}")
    shop.vendor.change_account(account.name, role="publisher")
    client.create_template(f"X {shop.tag}")
    shop.vendor.change_account(account.id, blocked=True)
    with pytest.raises(Refused, match="unauthorized"):
        list(client.templates())
    shop.vendor.change_account(account.id, blocked=False)
    assert client.own_account().account.role == "publisher"


def test_a_token_that_is_revoked_or_expired_opens_nothing_and_the_others_stay(shop):
    account = shop.vendor.create_account(f"Two {shop.tag}", "viewer")
    first, second = (shop.vendor.create_account_token(account.id, name) for name in ("first", "second"))
    short = shop.vendor.create_account_token(account.id, "short", expires=now() + timedelta(days=1))
    assert [token.state for token in shop.vendor.account_tokens(account.name)] == ["open"] * 3
    for _ in range(2):
        assert shop.vendor.revoke_account_token(first.id).state == "revoked"
    context = shop.server.context
    with context.database.writing() as session:
        row = session.get(accounts.VendorToken, short.id)
        row.expires_at = now() - timedelta(seconds=1)
    statuses = {
        token.name: shop.http.get("/v1/vendor/templates.json", headers={HEADER: token.token}).status_code
        for token in (first, second, short)
    }
    assert statuses == {"first": 401, "second": 200, "short": 401}
    listed = {token.name: token for token in shop.vendor.account_tokens(account.id)}
    assert [listed[name].state for name in ("first", "second", "short")] == ["revoked", "open", "expired"]
    assert listed["second"].last_used and not listed["short"].last_used


def test_a_token_is_shown_once_and_kept_as_its_hash(shop):
    account = shop.vendor.create_account(f"Secret {shop.tag}", "viewer")
    made_token = shop.vendor.create_account_token(account.id, "laptop")
    assert re.fullmatch("[0-9a-f]{32}", made_token.token)
    told = repr(list(shop.vendor.account_tokens(account.id))) + repr(list(shop.vendor.audit(made_token.id)))
    assert made_token.id in told and made_token.token not in told
    with shop.server.context.database.reading() as session:
        row = session.get(accounts.VendorToken, made_token.id)
        assert made_token.token not in repr(vars(row)) and len(row.token_hash) == 64


def test_a_call_writes_nothing_to_tell_when_a_token_was_used(shop):
    account = shop.vendor.create_account(f"Quiet {shop.tag}", "viewer")
    token = shop.vendor.create_account_token(account.id, "laptop")
    with watched() as queries:
        shop.http.get("/v1/vendor/templates.json", headers={HEADER: token.token})
    assert not [text for text in queries.seen if text.startswith("UPDATE")]
    sightings = shop.server.context.sightings
    sightings.write()
    with shop.server.context.database.reading() as session:
        assert session.get(accounts.VendorToken, token.id).last_seen_at is not None


def test_bad_requests_for_accounts_are_refused(shop, refused):
    headers = {HEADER: shop.server.vendor_token}
    account = shop.vendor.create_account(f"Bad {shop.tag}", "viewer")

    def post(path: str, body: object, method: str = "POST"):
        return shop.http.request(method, f"/v1/vendor{path}", json=body, headers=headers)

    for body in ({"name": "x"}, {"name": "x", "role": "root"}, {"name": "", "role": "viewer"}, {"name": "x\n"}):
        refused(post("/accounts.json", body), 400, "bad_request")
    refused(post("/accounts.json", {"name": account.name, "role": "viewer"}), 409, "exists")
    path = f"/accounts/{account.id}/tokens.json"
    for body in ({}, {"name": "x", "expires": "soon"}, {"name": "x", "expires": "1971-01-01T00:00:00Z"}):
        refused(post(path, body), 400, "bad_request")
    refused(post(f"/accounts/{account.id}.json", {"role": "root"}, "PATCH"), 400, "bad_request")


# -- the first account, whose token is in a file -----------------------------------------------------------------------


def test_the_token_of_the_file_is_the_first_account_s_which_stays_an_admin(shop, refused):
    own = shop.vendor.own_account()
    assert (own.account.name, own.account.role, own.token.name) == ("vendor", "admin", "vendor-token file")
    for change in ({"role": "viewer"}, {"blocked": True}):
        with pytest.raises(Refused, match="first_account"):
            shop.vendor.change_account("vendor", **change)
    assert shop.vendor.change_account("vendor", blocked=False).role == "admin"


def test_another_file_drops_the_former_token_and_lets_in_who_has_lost_all(tmp_path, refused):
    with LocalServer(tmp_path) as server, VendorClient(server.url, server.vendor_token) as client:
        former = server.vendor_token
        account = client.create_account("Jane", "admin")
        jane = client.create_account_token(account.id, "laptop").token
        client.revoke_account_token(client.own_account().token.id)
        with pytest.raises(Refused, match="unauthorized"):
            list(client.templates())
    with (
        LocalServer(tmp_path) as server,
        VendorClient(server.url, server.vendor_token) as client,
        pytest.raises(Refused, match="unauthorized"),
    ):
        list(client.templates())  # revoked is revoked, also over a restart
    (tmp_path / "vendor-token").unlink()
    with LocalServer(tmp_path) as server, VendorClient(server.url, server.vendor_token) as client:
        assert server.vendor_token != former and list(client.templates()) == []
        for token, status in ((former, 401), (jane, 200)):
            answer = httpx.get(f"{server.url}/v1/vendor/templates.json", headers={HEADER: token})
            assert answer.status_code == status
    (tmp_path / "vendor-token").write_text(jane)
    with pytest.raises(ToolError, match="is one of an account"):
        LocalServer(tmp_path).start()


def test_processes_that_start_at_once_agree_on_the_first_account(tmp_path):
    token = "0123456789abcdef"
    start = threading.Barrier(4)

    def begin(_number: int) -> None:
        start.wait(20)
        app = create_app(Settings(tmp_path, token))
        app.state.context.database.close()

    Database(None, tmp_path).close()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(begin, range(4)))
    with LocalServer(tmp_path, token=token) as server, VendorClient(server.url, token) as client:
        assert [account.name for account in client.accounts()] == ["vendor"]
        assert len(list(client.account_tokens("vendor"))) == 1


def test_servers_on_one_database_each_have_the_token_of_their_file(tmp_path):
    url = f"sqlite:///{tmp_path}/shared.db"

    def status(server: LocalServer, token: str) -> int:
        return httpx.get(f"{server.url}/v1/vendor/templates.json", headers={HEADER: token}).status_code

    with LocalServer(tmp_path / "a", database_url=url) as a:
        first = a.vendor_token
    with LocalServer(tmp_path / "b", database_url=url) as b:
        second = b.vendor_token
        assert [status(b, token) for token in (first, second)] == [200] * 2
    with LocalServer(tmp_path / "a", database_url=url) as a:
        assert [status(a, token) for token in (first, second)] == [200] * 2
    (tmp_path / "a" / "vendor-token").unlink()
    with LocalServer(tmp_path / "a", database_url=url) as a:
        assert [status(a, token) for token in (first, second, a.vendor_token)] == [401, 200, 200]
        third = a.vendor_token
    (tmp_path / "b" / "vendor-token").write_text(third)  # from now on they share one
    with LocalServer(tmp_path / "b", database_url=url) as b:
        assert [status(b, token) for token in (second, third)] == [401, 200]


def test_a_copy_of_a_server_still_drops_the_token_of_a_file_that_is_gone(tmp_path):
    with LocalServer(tmp_path / "data") as server:
        former = server.vendor_token
    back_up(tmp_path / "data", tmp_path / "copy")
    (tmp_path / "copy" / "vendor-token").unlink()
    with LocalServer(tmp_path / "copy") as server:
        assert httpx.get(f"{server.url}/v1/vendor/templates.json", headers={HEADER: former}).status_code == 401


# -- commands ----------------------------------------------------------------------------------------------------------


def test_an_admins_day(run, shop):
    name = f"Jane {shop.tag}"
    assert re.search(r"role +registrar\n", run("account", "create", name, "--role", "registrar"))
    made_token = json.loads(run("account", "token", "create", name, "--name", "laptop", "--days", "30", "--json"))
    token = ("--vendor-token", made_token["token"])
    assert re.search(rf"account +{name}\nrole +registrar\ntoken +laptop\n", run("account", "whoami", *token))
    assert f"added 1 serial number to {shop.tag}" in run(
        "serial", "add", "--product", shop.tag, f"J-{shop.tag}", *token
    )
    with pytest.raises(ToolError, match=f"needs the role publisher, and the account {name} is a registrar"):
        run("template", "create", "X", *token)
    assert re.search(r"role +publisher\n", run("account", "set", name, "--role", "publisher"))
    assert f"X {shop.tag}" in run("template", "create", f"X {shop.tag}", *token)
    assert re.search(rf"{name} +publisher +no", run("account", "list"))
    listed = run("account", "token", "list", name)
    assert re.search(rf"{made_token['id']}  laptop  open +20", listed) and made_token["token"] not in listed
    assert re.search(r"state +revoked\n", run("account", "token", "revoke", made_token["id"]))
    with pytest.raises(ToolError, match="401"):
        run("template", "list", *token)
    assert re.search(r"blocked +yes\n", run("account", "set", name, "--block"))
    with pytest.raises(ToolError, match="nothing to set"):
        run("account", "set", name)
    audit = run("audit", "list", "--who", f"account {name}", "--from", "2026-01-01", "--limit", "10")
    assert re.search(rf"account {name} +laptop +template.created +X {shop.tag}", audit)
    assert "(none)" in run("audit", "list", "--who", f"account {name}", "--to", "2026-01-01T00:00:00Z")
