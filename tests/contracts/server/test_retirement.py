"""What comes to its end: things, serial numbers and products; and what is refused while it is in use."""

from __future__ import annotations

import json

import pytest

import release_support
from contracts.server.people import refusal_of
from thermokeeper.client.calls import OwnerClient
from thermokeeper.client.connection import Refused
from thermokeeper.errors import ToolError


@pytest.fixture
def jane(shop):
    with OwnerClient(shop.server.url, shop.owner().token) as client:
        yield client


def _whats(shop, subject):
    """Oldest first, without how the subject came to be."""
    whats = [line.what for line in reversed(list(shop.vendor.audit(subject)))]
    return [what for what in whats if what not in ("serial.added", "product.created")]


def _activate(shop, number):
    return shop.http.post("/v1/provision/activate.json", json={"serialNumber": number})


# -- serial numbers ----------------------------------------------------------------------------------------------------


def test_a_retired_serial_number_s_device_is_refused_with_its_next_poll_and_can_t_activate(shop, refused):
    shop.version("1", publish=True)
    device, other = shop.device(), shop.device()
    assert device.call("GET", "/target-version.json").status_code == 200
    assert other.call("GET", "/target-version.json").status_code == 200
    for _ in range(2):
        assert shop.vendor.retire_serial(device.number).status == "retired"
    refused(device.call("GET", "/target-version.json"), 401, "unauthorized")
    refused(device.post_points([{"value": 1}]), 401, "unauthorized")
    refused(_activate(shop, device.number), 403, "serial_blocked")
    assert other.call("GET", "/target-version.json").status_code == 200
    assert shop.vendor.thing(device.thing).status == "retired"
    assert _whats(shop, device.number) == ["serial.retired"]


def test_a_retired_serial_number_has_lost_its_keys_and_nothing_brings_it_back(shop, refused, jane):
    number = shop.serial(proof_key="ab" * 32, claim_hash="cd" * 32)
    shop.vendor.retire_serial(number)
    shown = shop.vendor.serial(number)
    assert (shown.proof_key_id, shown.claim_code_id, shown.status) == (None, None, "retired")
    for call in (shop.vendor.unblock, shop.vendor.block):
        assert refusal_of(call, number) == (409, "retired")
    assert refusal_of(shop.vendor.change_serial, number, proof_key="ab" * 32) == (409, "retired")
    assert refusal_of(shop.vendor.add_serial, shop.tag, number) == (409, "exists")
    assert refusal_of(jane.claim, number) == (403, "serial_blocked")
    refused(_activate(shop, number), 403, "serial_blocked")
    assert refusal_of(shop.vendor.retire_serial, "nobody") == (404, "not_found")


def test_where_proofs_are_demanded_a_retired_serial_number_tells_nothing(shop, refused):
    number = shop.serial(proof_key="ab" * 32)
    shop.vendor.change_product(shop.tag, proof_required=True)
    shop.vendor.retire_serial(number)
    first, second = _activate(shop, number), _activate(shop, "nobody")
    shop.vendor.change_product(shop.tag, proof_required=False)
    refused(first, 403, "proof_required")
    assert first.content == second.content


def test_a_serial_number_whose_thing_has_an_owner_is_not_retired(shop, jane):
    device = shop.device()
    jane.claim(device.number)
    with pytest.raises(Refused, match=r"thing release.*409 in_use"):
        shop.vendor.retire_serial(device.number)
    assert device.call("GET", "/target-version.json").status_code == 204
    jane.release(device.thing)
    assert shop.vendor.retire_serial(device.number).status == "retired"


def test_a_device_that_provisions_itself_is_retired_too(shop, refused):
    board = shop.active_board()
    assert refusal_of(shop.vendor.retire_serial, board.uuid) == (409, "in_use")
    shop.vendor.release_dms_device(board.uuid)
    shop.vendor.retire_serial(board.uuid)
    refused(board.call("GET", "/firmware"), 401)
    token = shop.vendor.create_dms_token(uuid=board.uuid).token
    refused(board.ask(token), 403, "serial_blocked")


def test_who_blocked_and_unblocked_a_serial_number_is_in_the_audit_once(shop):
    number = shop.serial()
    for call in (shop.vendor.block, shop.vendor.block, shop.vendor.unblock, shop.vendor.unblock):
        call(number)
    assert _whats(shop, number) == ["serial.blocked", "serial.unblocked"]


def test_retired_serial_numbers_have_a_list_of_their_own(shop):
    numbers = [shop.serial() for _ in range(4)]
    shop.vendor.block(numbers[0])
    for number in numbers[1:3]:
        shop.vendor.retire_serial(number)
    found = {
        status: [row.serial_number for row in shop.vendor.serials(shop.tag, status)]
        for status in ("new", "active", "blocked", "retired")
    }
    assert found == {"new": numbers[3:], "active": [], "blocked": numbers[:1], "retired": numbers[1:3]}
    assert len(list(shop.vendor.serials(shop.tag))) == 4


# -- things ------------------------------------------------------------------------------------------------------------


def test_a_deleted_thing_s_key_opens_nothing_with_the_next_poll_and_its_board_gets_a_new_one(shop, refused):
    shop.version("1", publish=True)
    device = shop.device()
    device.post_points([{"value": 1}, {"value": 2}])
    device.call("PUT", "/properties/place/value.json", {"value": "cellar"})
    assert device.call("GET", "/target-version.json").status_code == 200
    former = device.thing
    assert shop.vendor.delete_thing(device.number) == 2
    refused(device.call("GET", "/target-version.json"), 401, "unauthorized")
    assert refusal_of(shop.vendor.thing, former) == (404, "not_found")
    assert _whats(shop, device.number) == ["thing.deleted"]
    device.activate()
    assert device.thing != former and shop.vendor.thing(device.thing).readings == []
    assert list(shop.vendor.datapoints(device.thing)) == []
    assert device.call("GET", "/target-version.json").status_code == 200


def test_a_thing_with_an_owner_is_not_deleted(shop, jane):
    device = shop.device()
    jane.claim(device.number)
    device.post_points([{"value": 1}])
    with pytest.raises(Refused, match=r"thing release.*409 in_use"):
        shop.vendor.delete_thing(device.thing)
    assert [point.value for point in jane.datapoints(device.thing)] == [1.0]
    assert device.call("GET", "/target-version.json").status_code == 204
    shop.vendor.release_thing(device.thing)
    shop.vendor.delete_thing(device.thing)
    assert refusal_of(shop.vendor.delete_thing, device.thing) == (404, "not_found")
    assert refusal_of(shop.vendor.erase_thing, device.thing) == (404, "not_found")


def test_the_thing_of_a_device_that_provisions_itself_comes_anew_with_its_activation(shop, refused):
    board = shop.active_board()
    thing = shop.vendor.dms_device(board.uuid).thing
    owner = shop.vendor.dms_device(board.uuid).owner
    shop.vendor.release_thing(thing)
    shop.vendor.delete_thing(thing)
    refused(board.call("GET", "/firmware"), 409, "not_activated")
    refused(board.activate(shop.tag), 403, "not_claimed")
    account = shop.vendor.renew_token(owner)
    with OwnerClient(shop.server.url, account.token) as client:
        client.claim_device(board.uuid)
        assert board.activate(shop.tag).status_code == 200
        (again,) = client.things()
    assert again.id != thing and again.owned_since is not None


# -- products ----------------------------------------------------------------------------------------------------------


def test_a_product_is_retired_once_its_serial_numbers_are_and_takes_no_more(shop, jane):
    number, owner = shop.serial(), shop.owner()
    with pytest.raises(Refused, match=r"serial retire.*409 in_use"):
        shop.vendor.retire_product(shop.tag)
    shop.vendor.retire_serial(number)
    for _ in range(2):
        assert shop.vendor.retire_product(shop.tag).retired
    assert refusal_of(shop.vendor.add_serial, shop.tag, f"N-{shop.tag}") == (409, "retired")
    assert refusal_of(shop.vendor.add_serials, shop.tag, [f"N-{shop.tag}"]) == (409, "retired")
    assert refusal_of(shop.vendor.grant_access, owner.id, shop.tag) == (409, "retired")
    assert [row.retired for row in shop.vendor.products() if row.code == shop.tag] == [True]
    assert [row.serial_number for row in shop.vendor.serials(shop.tag)] == [number]
    assert _whats(shop, shop.tag) == ["product.retired"]
    assert refusal_of(shop.vendor.retire_product, "nobody") == (404, "not_found")


def test_no_device_moves_to_a_retired_product(shop, refused):
    board = shop.claimed_board()
    shop.vendor.retire_product(shop.tag)
    refused(board.activate(shop.tag), 404, "not_found")


# -- commands ----------------------------------------------------------------------------------------------------------


def test_commands_say_what_they_did(shop):
    def tool(*words):
        vendor = ("--server", shop.server.url, "--vendor-token", shop.server.vendor_token)
        return release_support.tool(*words, *vendor)

    device = shop.device()
    device.post_points([{"value": 1}])
    assert json.loads(tool("thing", "erase", device.number, "--json")) == {"erased": device.number, "datapoints": 1}
    assert tool("thing", "delete", device.thing) == f"deleted  {device.thing}\ndatapoints  0\n"
    with pytest.raises(ToolError, match="409 in_use"):
        tool("product", "retire", shop.tag)
    shown = tool("serial", "retire", device.number, shop.serial())
    assert shown.count("  retired\n") == 2
    (again,) = json.loads(tool("serial", "retire", device.number, "--json"))
    assert again["status"] == "retired"
    with pytest.raises(ToolError, match="nobody: .*404 not_found.*; 1 of 2 are retired"):
        tool("serial", "retire", device.number, "nobody")
    assert "retired              yes" in tool("product", "retire", shop.tag)
    assert device.number in tool("serial", "list", shop.tag, "--status", "retired")
