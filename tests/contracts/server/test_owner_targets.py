"""An owner chooses what his thing runs among what there is for it; the vendor's word for one device comes first."""

from __future__ import annotations

import pytest

from thermokeeper.client.calls import OwnerClient
from thermokeeper.client.connection import Refused
from thermokeeper.errors import ToolError

NOBODY = "0" * 32


@pytest.fixture
def owner(shop):
    with OwnerClient(shop.server.url, shop.owner().token) as client:
        yield client


@pytest.fixture
def device(shop, owner):
    made = shop.device()
    owner.claim(made.number)
    return made


def _target(device) -> str | None:
    response = device.call("GET", "/target-version.json")
    return None if response.status_code == 204 else response.json()["name"]


def _runs(device, version) -> None:
    assert device.call("PUT", "/version.json", {"id": version.id}).status_code == 200


def _choices(owner, device) -> list[str]:
    return [version.name for version in owner.available_versions(device.thing)]


def test_an_owners_choice_holds_until_it_is_taken_back(shop, owner, device):
    second = shop.version("2")
    first = shop.version("1", publish=True, update_to_version=second.id)
    assert _choices(owner, device) == ["1"] and owner.thing(device.thing).target_by_owner is False
    _runs(device, first)
    assert (_choices(owner, device), _target(device)) == (["2"], "1")
    for _ in range(2):
        found = owner.choose_target(device.thing, "2")
        assert (found.target_version.id, found.target_by_owner) == (second.id, True)
        assert _target(device) == "2"
    shop.version("3", publish=True)
    assert (_target(device), _choices(owner, device)) == ("2", ["2", "3"])
    assert shop.vendor.serial(device.number).target_by_owner is True
    for _ in range(2):
        assert owner.leave_target(device.thing).target_by_owner is False
        assert _target(device) == "3"
    lines = [(line.what, line.detail) for line in shop.vendor.audit(device.number)]
    assert (
        lines[:2] == [("target.left", ""), ("target.chosen", "version 2")] and len(lines) == 4
    )  # and the claim, and its beginning


def test_an_owner_may_stay_with_what_runs(shop, owner, device):
    first = shop.version("1", publish=True)
    _runs(device, first)
    assert owner.choose_target(device.thing, "1").target_by_owner
    shop.version("2", publish=True)
    assert (_target(device), _choices(owner, device)) == ("1", ["2"])


def test_a_version_that_is_not_available_is_not_chosen(shop, make_shop, owner, device, refused):
    other = make_shop(shop.server, shop.http)
    wrong = [shop.version("old"), shop.version("none", None), other.version("1", publish=True)]
    prototype = shop.version("p", prototype=True)
    first = shop.version("1", publish=True, update_to_version=prototype.id)
    _runs(device, first)
    assert _choices(owner, device) == []
    for version in (*[row.id for row in wrong], prototype.id, NOBODY, "x"):
        with pytest.raises(Refused if len(version) == 32 else ToolError) as found:
            owner.choose_target(device.thing, version)
        assert len(version) < 32 or found.value.code == "not_available"
    assert owner.thing(device.thing).target_by_owner is False and _target(device) == "1"
    other.vendor.close()


def test_what_the_vendor_sets_for_a_device_stands_before_its_owners_choice(shop, owner, device):
    shop.version("1", publish=True)
    pinned = shop.version("2")
    owner.choose_target(device.thing, "1")
    found = shop.vendor.change_serial(device.number, target_version=pinned.id)
    assert (found.own_target, found.target_by_owner) == (True, False)
    for call in (lambda: owner.choose_target(device.thing, "1"), lambda: owner.leave_target(device.thing)):
        with pytest.raises(Refused, match="vendors_target"):
            call()
    assert _target(device) == "2"


def test_an_owners_choice_does_not_hold_up_another_template(shop, owner, device):
    shop.version("1", publish=True)
    owner.choose_target(device.thing, "1")
    other = shop.vendor.create_template(f"Other {shop.tag}")
    shop.version("9", template=other.id, publish=True)
    found = shop.vendor.change_serial(device.number, template=other.id)
    assert (found.own_target, found.target_by_owner, _target(device)) == (False, False, "9")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "GET"])
def test_only_the_owner_chooses(shop, owner, refused, method):
    device, version = shop.device(), shop.version("1", publish=True)
    name = "available-versions" if method == "GET" else "target-version"
    body = {"id": version.id} if method == "PUT" else None

    def call(thing, **headers):
        return shop.http.request(method, f"/v1/owner/things/{thing}/{name}.json", json=body, headers=headers)

    token = {"X-OwnerToken": owner._http.headers["X-OwnerToken"]}
    refused(call(device.thing, **token), 403, "forbidden")
    with OwnerClient(shop.server.url, shop.owner().token) as other:
        other.claim(device.number)
    refused(call(device.thing, **token), 403, "forbidden")
    refused(call(NOBODY, **token), 404, "not_found")
    refused(call(device.thing), 401, "unauthorized")
    assert shop.vendor.serial(device.number).own_target is False


def test_a_board_that_moves_to_another_product_leaves_its_owners_choice_behind(shop, make_shop):
    other = make_shop(shop.server, shop.http)
    shop.version("1", publish=True)
    account = shop.owner()
    board = shop.board().provision(shop.vendor.create_dms_token().token)
    with OwnerClient(shop.server.url, account.token) as owner:
        owner.claim_device(board.uuid)
        for one in (shop, other):
            shop.vendor.grant_access(account.id, one.tag)
        assert board.activate(shop.tag).status_code == 200
        (thing,) = owner.things()
        owner.choose_target(thing.id, "1")
        assert board.activate(other.tag).status_code == 200
        assert owner.thing(thing.id).target_by_owner is False and owner.thing(thing.id).target_version is None
    other.vendor.close()
