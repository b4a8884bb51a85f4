"""From a credential to a product: claims, access, activation; then firmware, readings and the name."""

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import msgpack
import pytest

from thermokeeper.client.calls import OwnerClient
from thermokeeper.client.connection import Refused
from thermokeeper.server.local import LocalServer


def _read(response, status: int = 200):
    assert response.status_code == status, response.content
    assert response.headers["content-type"] == "application/msgpack"
    return msgpack.unpackb(response.content)


@pytest.fixture
def owner(shop):
    """An owner's client, with the account's name and id."""
    account = shop.owner()
    with OwnerClient(shop.server.url, account.token) as client:
        client.id, client.name = account.id, account.name
        yield client


def _second_product(shop) -> str:
    template = shop.vendor.create_template(f"Other {shop.tag}")
    shop.vendor.create_product(f"o-{shop.tag}", "Other", template.id)
    return f"o-{shop.tag}"


# -- claim, access, activate -------------------------------------------------------------------------------------------


def test_a_device_is_activated_once_an_owner_with_access_has_claimed_it(shop, refused, owner):
    version = shop.version("1", publish=True, description="first")
    board = shop.board().provision(shop.vendor.create_dms_token().token)
    assert "claimed by a user with access to the product" in refused(board.activate(shop.tag), 403, "not_claimed")
    owner.claim_device(board.uuid)
    assert "claimed by a user with access to the product" in refused(board.activate(shop.tag), 403, "no_access")
    refused(board.activate("nothing"), 404, "not_found")
    refused(board.call("GET", "/firmware"), 409, "not_activated")
    shop.vendor.grant_access(owner.name, shop.tag)
    found = _read(board.activate(shop.tag))
    assert set(found) == {"product", "name", "thing", "version"}
    assert (found["product"], found["name"]) == (shop.tag, "Thermometer")
    assert found["version"] == {"id": version.id, "name": "1", "description": "first", "release": None}
    thing = shop.vendor.thing(board.uuid)
    assert (thing.id, thing.name, thing.owner) == (found["thing"], "Thermometer 1", owner.name)
    assert (thing.product, thing.activation_count, thing.status) == (shop.tag, 1, "active")
    (device,) = owner.devices()
    assert (device.uuid, device.state, device.product, device.thing) == (board.uuid, "activated", shop.tag, thing.id)
    (owned,) = owner.things()
    assert (owned.id, owned.serial_number) == (thing.id, board.uuid)


def test_an_activation_may_be_repeated_even_when_the_access_was_withdrawn(shop, owner):
    board = shop.board().provision(shop.vendor.create_dms_token().token)
    owner.claim_device(board.uuid)
    shop.vendor.grant_access(owner.id, shop.tag)
    first = _read(board.activate(shop.tag))
    assert first["version"] is None
    assert shop.vendor.withdraw_access(owner.id, shop.tag) == []
    assert _read(board.activate(shop.tag)) == first
    assert [line.what for line in shop.vendor.audit(board.uuid)].count("device.activated") == 1


def test_activations_at_once_make_one_thing(shop):
    board = shop.claimed_board()
    start = threading.Barrier(5)

    def activate(_index: int) -> str:
        with httpx.Client(base_url=shop.server.url, timeout=30) as http:
            mine = shop.board(board.uuid)
            mine.http, mine.credential = http, board.credential
            start.wait(10)
            return _read(mine.activate(shop.tag))["thing"]

    with ThreadPoolExecutor(5) as pool:
        assert len(set(pool.map(activate, range(5)))) == 1


def test_another_product_keeps_the_thing_but_not_what_it_runs(shop, refused, owner):
    version = shop.version("1", publish=True)
    own = shop.version("own")
    board = shop.board().provision(shop.vendor.create_dms_token().token)
    owner.claim_device(board.uuid)
    shop.vendor.grant_access(owner.id, shop.tag)
    thing = _read(board.activate(shop.tag))["thing"]
    assert board.call("PUT", "/firmware", {"id": version.id}).status_code == 204
    shop.vendor.change_serial(board.uuid, target_version=own.id)
    _read(board.call("PUT", "/thing", {"name": "Kitchen"}))
    other = _second_product(shop)
    refused(board.activate(other), 403, "no_access")
    assert _read(board.call("GET", "/firmware"))["id"] == own.id
    shop.vendor.grant_access(owner.id, other)
    found = _read(board.activate(other))
    assert (found["product"], found["name"], found["thing"], found["version"]) == (other, "Other", thing, None)
    after = shop.vendor.thing(thing)
    assert (after.name, after.product, after.current_version) == ("Kitchen", other, None)
    assert board.call("GET", "/firmware").status_code == board.call("GET", "/firmware/current").status_code == 204
    refused(board.call("PUT", "/firmware", {"id": version.id}), 409, "wrong_template")
    refused(board.call("GET", f"/firmware/{version.id}"), 404, "not_found")
    assert next(line.what for line in shop.vendor.audit(board.uuid)) == "device.moved"
    assert _read(board.activate(shop.tag))["version"]["id"] == version.id, "and back"


@pytest.mark.parametrize("code", ["", 5, None, "x" * 65])
def test_a_product_code_that_is_none(shop, refused, code):
    refused(shop.claimed_board().activate(code), 400, "bad_request")


@pytest.mark.parametrize("code", ["a\0b", "Ünï", " ", "../x"])
def test_a_product_code_that_is_not_there(shop, refused, code):
    refused(shop.claimed_board().activate(code), 404, "not_found")


def test_a_claim_is_one_owner_s_and_may_be_repeated(shop, owner):
    board = shop.board()
    with pytest.raises(Refused, match="no such device") as raised:
        owner.claim_device(board.uuid)
    assert raised.value.status == 404
    board.keep(board.ask(shop.vendor.create_dms_token().token))
    assert owner.claim_device(board.uuid).state == "provisioned"
    assert owner.claim_device(board.uuid).state == "provisioned"
    with OwnerClient(shop.server.url, shop.owner().token) as other:
        with pytest.raises(Refused, match="another owner") as raised:
            other.claim_device(board.uuid)
        assert (raised.value.status, raised.value.code) == (409, "claimed")
        assert list(other.devices()) == []
    assert [line.what for line in shop.vendor.audit(board.uuid)].count("device.claimed") == 1


def test_a_device_with_a_token_of_its_own_can_be_claimed_before_it_calls(shop, owner):
    board = shop.board()
    token = shop.vendor.create_dms_token(uuid=board.uuid)
    assert owner.claim_device(board.uuid).state == "new"
    shop.vendor.grant_access(owner.id, shop.tag)
    assert board.provision(token.token).activate(shop.tag).status_code == 200


def test_owners_at_once_get_one_claim(shop):
    board = shop.board().provision(shop.vendor.create_dms_token().token)
    tokens = [shop.owner().token for _ in range(4)]
    start = threading.Barrier(4)

    def claim(token: str) -> int:
        with httpx.Client(base_url=shop.server.url, timeout=30, headers={"X-OwnerToken": token}) as http:
            start.wait(10)
            return http.post("/v1/owner/dms/claims.json", json={"uuid": board.uuid}).status_code

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(claim, tokens)) == [201, 409, 409, 409]


def test_a_claim_outlives_a_reset_of_the_device(shop):
    board = shop.active_board()
    thing = shop.vendor.thing(board.uuid)
    again = shop.board(board.uuid).provision(shop.vendor.create_dms_token(uuid=board.uuid).token)
    assert _read(again.activate(shop.tag))["thing"] == thing.id
    assert shop.vendor.thing(thing.id).owner == thing.owner


def test_a_serial_number_that_is_the_uuid_has_the_same_owner(shop, owner):
    """The vendor may add one before the device calls; who claims that has claimed the device."""
    board = shop.board().provision(shop.vendor.create_dms_token().token)
    other = _second_product(shop)
    shop.vendor.add_serial(other, board.uuid)
    thing = owner.claim(board.uuid, "Hall")
    with OwnerClient(shop.server.url, shop.owner().token) as stranger, pytest.raises(Refused, match="another owner"):
        stranger.claim_device(board.uuid)
    assert [device.uuid for device in owner.devices()] == [board.uuid]
    shop.vendor.grant_access(owner.id, shop.tag)
    assert _read(board.activate(shop.tag))["thing"] == thing.id
    assert shop.vendor.thing(thing.id).product == shop.tag


def test_the_uuid_gets_no_key_from_the_other_service(shop, refused):
    board = shop.active_board()
    response = shop.http.post("/v1/provision/activate.json", json={"serialNumber": board.uuid})
    assert "/dms/v1/provision" in refused(response, 403, "other_service")
    assert board.call("GET", "/firmware").status_code == 204


def test_a_key_from_before_opens_nothing_after_the_activation(shop, refused, owner):
    uuid = shop.board().uuid
    shop.vendor.add_serial(shop.tag, uuid)
    key = shop.http.post("/v1/provision/activate.json", json={"serialNumber": uuid}).json()
    board = shop.board(uuid).provision(shop.vendor.create_dms_token(uuid=uuid).token)
    owner.claim_device(uuid)
    shop.vendor.grant_access(owner.id, shop.tag)
    assert _read(board.activate(shop.tag))["thing"] == key["thingId"]
    path = f"/v1/things/{key['thingId']}/version.json"
    refused(shop.http.get(path, headers={"X-ApiKey": key["apiKey"]}), 401, "unauthorized")


def test_a_blocked_serial_number_is_refused_everything(shop, refused):
    board = shop.active_board()
    token = shop.vendor.create_dms_token(uuid=board.uuid)
    shop.vendor.block(board.uuid)
    refused(board.acknowledge(), 403, "serial_blocked")
    refused(board.activate(shop.tag), 403, "serial_blocked")
    refused(board.call("GET", "/firmware"), 403, "serial_blocked")
    refused(board.ask(token.token), 403, "serial_blocked")
    assert shop.vendor.dms_device(board.uuid).state == "blocked"
    shop.vendor.unblock(board.uuid)
    assert board.call("GET", "/firmware").status_code == 204
    again = shop.board(board.uuid)
    again.keep(again.ask(token.token))
    shop.vendor.block(board.uuid)
    refused(again.acknowledge(), 403, "serial_blocked")
    shop.vendor.unblock(board.uuid)
    assert board.acknowledge().status_code == 204, "what a blocked device shows acknowledges nothing"


# -- firmware ----------------------------------------------------------------------------------------------------------


def test_the_firmware_of_the_product_from_its_announcement_to_its_confirmation(shop, refused):
    board = shop.active_board()
    nothing = board.call("GET", "/firmware")
    assert (nothing.status_code, nothing.content) == (204, b"")
    version = shop.version("2", b"the firmware", publish=True, description="newer")
    target = _read(board.call("GET", "/firmware"))
    assert target == {"id": version.id, "name": "2", "description": "newer", "release": None, "size": 12}
    whole = board.call("GET", f"/firmware/{version.id}")
    assert (whole.content, whole.headers["content-type"]) == (b"the firmware", "application/octet-stream")
    assert board.call("GET", "/firmware/current").status_code == 204
    for _ in range(2):
        confirmed = board.call("PUT", "/firmware", {"id": version.id})
        assert (confirmed.status_code, confirmed.content) == (204, b"")
    assert _read(board.call("GET", "/firmware/current")) == target
    thing = shop.vendor.thing(board.uuid)
    assert thing.current_version is not None and thing.current_version.id == version.id
    assert thing.last_seen is not None and shop.vendor.dms_device(board.uuid).last_seen is not None
    refused(board.call("PUT", "/firmware", {"id": "0" * 32}), 404, "not_found")
    refused(board.call("PUT", "/firmware", {"id": "a\0"}), 404, "not_found")


def test_a_broken_download_goes_on(shop, refused):
    board = shop.active_board()
    version = shop.version("1", bytes(range(256)) * 40, publish=True)
    path = f"/firmware/{version.id}"
    etag = board.call("GET", path).headers["etag"]
    part = board.call("GET", path, headers={"Range": "bytes=10000-", "If-Range": etag})
    assert (part.status_code, len(part.content)) == (206, 240)
    assert part.headers["content-range"] == "bytes 10000-10239/10240"
    other = board.call("GET", path, headers={"Range": "bytes=10000-", "If-Range": '"other"'})
    assert (other.status_code, len(other.content)) == (200, 10240)
    assert board.call("GET", path, headers={"If-None-Match": etag}).status_code == 304
    refused(board.call("GET", path, headers={"If-Match": '"other"'}), 412, "precondition_failed")
    past = board.call("GET", path, headers={"Range": "bytes=10240-"})
    refused(past, 416, "range_not_satisfiable")
    assert past.headers["content-range"] == "bytes */10240"
    head = board.call("HEAD", path)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, "10240", b"")


def test_firmware_that_is_not_for_this_device(shop, refused):
    board = shop.active_board()
    other = shop.vendor.create_template(f"Others {shop.tag}").id
    for version in (shop.version("1", template=other), shop.version("none", firmware=None)):
        refused(board.call("GET", f"/firmware/{version.id}"), 404, "not_found")
    prototype = shop.version("proto", prototype=True)
    refused(board.call("GET", f"/firmware/{prototype.id}"), 404, "not_found")
    shop.vendor.change_serial(board.uuid, target_version=prototype.id)
    assert board.call("GET", f"/firmware/{prototype.id}").content == b"firmware"
    assert _read(board.call("GET", "/firmware"))["id"] == prototype.id
    for name in ("0" * 32, "nothing", "%00", "a%20b"):
        refused(board.call("GET", f"/firmware/{name}"), 404, "not_found")
    version = shop.version("2", template=other)
    refused(board.call("PUT", "/firmware", {"id": version.id}), 409, "wrong_template")


def test_a_version_that_failed_is_told_to_the_owner_s_thing(shop, refused):
    board = shop.active_board()
    failure = {"id": "0" * 32, "version": "2", "why": "no network\n\0" + "x" * 400}
    assert board.call("POST", "/firmware/failure", failure).status_code == 204
    assert board.call("POST", "/firmware/failure", {**failure, "why": "again"}).status_code == 204
    refused(board.call("POST", "/firmware/failure", {**failure, "why": 5}), 400, "bad_request")
    refused(board.call("POST", "/firmware/failure", {**failure, "why": "x" * 1001}), 400, "bad_request")
    with shop.server._server.config.app.state.context.database.reading() as session:
        from thermokeeper.server.storage.models import PropertyValue

        found = session.get(PropertyValue, (shop.vendor.thing(board.uuid).id, "updateFailure"))
        assert found is not None and found.value == f'"2 ({"0" * 32}): again"'


# -- readings and the name ---------------------------------------------------------------------------------------------


def test_readings_arrive_once_however_often_they_are_sent(shop):
    board = shop.active_board()
    points = [{"value": 21.5, "at": "2026-11-21T20:13:18.000+0000"}, {"value": 22}]
    response = board.call("POST", "/events/temperature", points)
    assert (response.status_code, response.content) == (204, b"")
    assert board.call("POST", "/events/temperature", points[:1]).status_code == 204
    assert board.call("POST", "/events/temperature", []).status_code == 204
    assert sorted(point.value for point in shop.vendor.datapoints(board.uuid)) == [21.5, 22.0]


@pytest.mark.parametrize(
    "points",
    [
        {},
        "x",
        [5],
        [{}],
        [{"value": "21"}],
        [{"value": True}],
        [{"value": None}],
        [{"value": float("nan")}],
        [{"value": float("inf")}],
        [{"value": 1, "at": 1700000000}],
        [{"value": 1, "at": "yesterday"}],
        [{"value": 1, "at": "1969-01-01T00:00:00Z"}],
        [{"value": 1}, {"value": []}],
    ],
)
def test_readings_that_are_none(shop, refused, points):
    refused(shop.active_board().call("POST", "/events/temperature", points), 400, "bad_request")


def test_limits_of_readings(shop, refused):
    board = shop.active_board()
    refused(board.call("POST", "/events/temperature", [{"value": 1}] * 501), 413, "too_large")
    refused(board.call("POST", "/events/temperature", [{"value": 1}] * 3000), 413, "too_large")
    refused(board.call("POST", f"/events/{'x' * 65}", [{"value": 1}]), 400, "bad_request")
    refused(board.call("POST", "/events/a%20b", [{"value": 1}]), 400, "bad_request")
    assert board.call("POST", "/events/temperature", [{"value": 1}] * 500).status_code == 204


def test_a_thing_is_given_a_name(shop, refused):
    board = shop.active_board()
    thing = shop.vendor.thing(board.uuid).id
    assert _read(board.call("PUT", "/thing", {"name": "Küche 1"})) == {"id": thing, "name": "Küche 1"}
    assert shop.vendor.thing(thing).name == "Küche 1"
    for name in ("", " x", "a\nb", "x" * 65, 5, None, "a\0"):
        refused(board.call("PUT", "/thing", {"name": name}), 400, "bad_request")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/firmware", None),
        ("GET", "/firmware/current", None),
        ("GET", f"/firmware/{'0' * 32}", None),
        ("PUT", "/firmware", {"id": "0" * 32}),
        ("POST", "/firmware/failure", {"id": "0" * 32, "version": "1", "why": "x"}),
        ("POST", "/events/temperature", [{"value": 1}]),
        ("PUT", "/thing", {"name": "N"}),
    ],
)
def test_a_device_that_is_not_activated_is_told_so(shop, refused, method, path, body):
    refused(shop.claimed_board().call(method, path, body), 409, "not_activated")


def test_a_restart_in_between_changes_nothing(tmp_path, make_shop):
    server = LocalServer(tmp_path)
    with server, httpx.Client(base_url=server.url) as http:
        shop = make_shop(server, http)
        version = shop.version("1", b"firmware", publish=True)
        board = shop.active_board()
        waiting = shop.claimed_board()
        assert board.call("PUT", "/firmware", {"id": version.id}).status_code == 204
        before = list(shop.vendor.audit()), list(shop.vendor.dms_devices())
        shop.vendor.close()
    again = LocalServer(tmp_path, port=server.port)
    with again, httpx.Client(base_url=again.url) as http:
        vendor = type(shop.vendor)(again.url, again.vendor_token)
        board.http = waiting.http = http
        assert (list(vendor.audit()), list(vendor.dms_devices())) == before
        assert _read(board.call("GET", "/firmware/current"))["id"] == version.id
        assert board.call("GET", f"/firmware/{version.id}").content == b"firmware"
        assert waiting.activate(shop.tag).status_code == 200
        vendor.close()
