"""Claim codes: who has the label claims the device, who knows its serial number learns nothing."""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace

import httpx
import pytest

import release_support
from thermokeeper.client.calls import OwnerClient
from thermokeeper.contract import claim_codes
from thermokeeper.errors import ToolError
from thermokeeper.server.local import LocalServer
from thermokeeper.server.rules.ratelimit import Rate
from thermokeeper.server.settings import Settings

CODE = "7K3Q-X9FD"
WRONG = "0000-0000"
CLAIMS = "/v1/owner/claims.json"


def _claim(shop, owner, number, code=None, **more):
    body = {"serialNumber": number} | ({"claimCode": code} if code is not None else {}) | more
    return shop.http.post(CLAIMS, json=body, headers={"X-OwnerToken": owner.token})


def _coded(shop, **settings):
    """A serial number whose label has CODE."""
    number = shop.serial(**settings)
    # the standard library's, as the page at /docs says it, not what tools and server share
    salt = f"thermokeeper claim code 1\n{number}".encode()
    digest = hashlib.scrypt(b"7K3QX9FD", salt=salt, n=16384, r=8, p=1, dklen=32)
    shop.vendor.change_serial(number, claim_hash=digest.hex())
    return number


@pytest.fixture
def demanding(shop):
    shop.vendor.change_product(shop.tag, claim_code_required=True)
    yield shop
    shop.vendor.change_product(shop.tag, claim_code_required=False)


@pytest.mark.parametrize("typed", [CODE, "7k3qx9fd", " 7K3Q X9FD ", "7-K-3-Q-X-9-F-D"])
def test_who_has_the_label_claims_the_device_however_he_types_it(shop, typed):
    number, owner = _coded(shop), shop.owner()
    assert _claim(shop, owner, number, typed).status_code == 201
    assert shop.vendor.thing(number).owner == owner.name


def test_letters_that_are_taken_for_digits_are_forgiven():
    assert claim_codes.plain("iIlL-oO00") == "11110000"
    assert claim_codes.hashed("IO00-0000", "S1") == claim_codes.hashed("1000 0000", "S1")


def test_new_codes_can_be_typed_and_differ():
    codes = {claim_codes.new_code() for _ in range(200)}
    assert len(codes) == 200
    assert all(len(code) == 9 and code[4] == "-" and not set(code) & set("ILOU") for code in codes)
    assert all(claim_codes.plain(code) == code.replace("-", "") for code in codes)


def test_who_knows_the_serial_number_only_gets_nothing(shop, refused):
    number, owner = _coded(shop), shop.owner()
    assert "label" in refused(_claim(shop, owner, number), 403, "claim_code_required")
    refused(_claim(shop, owner, number, WRONG), 403, "claim_code_wrong")
    assert shop.vendor.serial(number).thing is None
    assert [line.what for line in shop.vendor.audit(number)] == ["serial.changed", "serial.added"]


def test_the_code_of_another_device_opens_nothing(shop, refused):
    first, second, owner = _coded(shop), shop.serial(), shop.owner()
    shop.vendor.change_serial(second, claim_hash=claim_codes.hashed(CODE, first))
    refused(_claim(shop, owner, second, CODE), 403, "claim_code_wrong")


def test_a_serial_number_that_there_isnt_is_refused_as_a_wrong_code_is(demanding, refused):
    shop, owner = demanding, demanding.owner()
    coded, uncoded = _coded(shop), shop.serial()
    blocked = _coded(shop)
    shop.vendor.block(blocked)
    for code, word in ((None, "claim_code_required"), (WRONG, "claim_code_wrong")):
        numbers = (coded, uncoded, blocked, "nobody", "a\0b", "\u4e2d" * 60)
        answers = [_claim(shop, owner, number, code) for number in numbers]
        for answer in answers:
            refused(answer, 403, word)
        assert len({answer.content for answer in answers}) == 1
    refused(_claim(shop, owner, blocked, CODE), 403, "serial_blocked")


def test_a_product_may_demand_codes_and_one_without_stays_unclaimed(demanding, refused):
    shop, owner = demanding, demanding.owner()
    number = shop.serial()
    refused(_claim(shop, owner, number), 403, "claim_code_required")
    shop.vendor.change_product(shop.tag, claim_code_required=False)
    assert _claim(shop, owner, number).status_code == 201


def test_a_serial_number_without_a_code_is_claimed_as_before(shop):
    assert _claim(shop, shop.owner(), shop.serial(), CODE).status_code == 201
    assert _claim(shop, shop.owner(), shop.serial()).status_code == 201


def test_a_claim_whose_answer_was_lost_is_repeated(shop):
    number, owner = _coded(shop), shop.owner()
    assert [_claim(shop, owner, number, CODE).status_code for _ in range(2)] == [201, 200]
    assert [line.what for line in shop.vendor.audit(number)][:2] == ["serial.claimed", "serial.changed"]


def test_the_right_code_of_a_claimed_device_says_that_it_is_claimed(shop, refused):
    number = _coded(shop)
    assert _claim(shop, shop.owner(), number, CODE).status_code == 201
    assert "hand-over" in refused(_claim(shop, shop.owner(), number, CODE), 409, "claimed")
    refused(_claim(shop, shop.owner(), number, WRONG), 403, "claim_code_wrong")


@pytest.mark.parametrize("code", ["", "7K3Q-X9F", "7K3Q-X9FDX", "7K3Q-X9FU", "7K3Q_X9FD", 5, "0" * 10_000])
def test_what_is_no_code_is_said_at_once(shop, refused, code):
    refused(_claim(shop, shop.owner(), _coded(shop), code), 400, "bad_request")


def test_strangers_use_up_no_tries_of_who_has_the_label(tmp_path, make_shop, refused):
    rates = replace(Settings(tmp_path, ""), serial_rate=Rate(3, 1e6), client_rate=Rate(1000, 1))
    with LocalServer(tmp_path, settings=rates) as server, httpx.Client(base_url=server.url) as http:
        shop = make_shop(server, http)
        number, owner, stranger = _coded(shop), shop.owner(), shop.owner()
        statuses = [_claim(shop, stranger, number, WRONG).status_code for _ in range(5)]
        assert statuses == [403, 403, 403, 429, 429]
        assert _claim(shop, stranger, number, CODE).status_code == 429, "the right one comes too late"
        assert _claim(shop, owner, number, CODE).status_code == 201
        shop.vendor.close()


def test_an_owner_has_only_so_many_tries_whatever_serial_numbers_he_names(tmp_path, make_shop):
    rates = replace(Settings(tmp_path, ""), serial_rate=Rate(1000, 1), client_rate=Rate(3, 1e6))
    with LocalServer(tmp_path, settings=rates) as server, httpx.Client(base_url=server.url) as http:
        shop = make_shop(server, http)
        stranger = shop.owner()
        statuses = [_claim(shop, stranger, f"S{index}", WRONG).status_code for index in range(5)]
        assert statuses == [403, 403, 403, 429, 429]
        shop.vendor.close()


def test_many_claims_at_once_leave_workers_to_the_devices(shop, monkeypatch):
    going_on, hashing = threading.Event(), claim_codes.hashed

    def held_up(code, number):
        assert going_on.wait(30)
        return hashing(code, number)

    monkeypatch.setattr(claim_codes, "hashed", held_up)
    device, owner, numbers = shop.device(), shop.owner(), [shop.serial() for _ in range(12)]
    with ThreadPoolExecutor(12) as pool:
        calls = [pool.submit(_claim, shop, owner, number, CODE) for number in numbers]
        first = next(as_completed(calls)).result()
        assert device.post_points([{"value": 1}]).status_code == 204
        going_on.set()
        statuses = sorted(call.result().status_code for call in calls)
    assert first.status_code == 503 and first.headers["retry-after"]
    assert statuses == [201] * 8 + [503] * 4


def test_no_code_and_no_hash_is_told_again(shop, caplog):
    number, owner = _coded(shop), shop.owner()
    _claim(shop, owner, number, CODE)
    told = repr(shop.vendor.serial(number)) + repr(list(shop.vendor.audit())) + caplog.text
    assert shop.vendor.serial(number).claim_code_id is not None
    assert "7K3Q" not in told and claim_codes.hashed(CODE, number) not in told


def test_a_device_that_provisions_itself_is_claimed_as_before(demanding, refused):
    shop = demanding
    board, owner = shop.board().provision(shop.vendor.create_dms_token().token), shop.owner()
    with OwnerClient(shop.server.url, owner.token) as client:
        assert client.claim_device(board.uuid).uuid == board.uuid


def test_its_serial_number_takes_no_code_either(demanding):
    shop, board = demanding, demanding.active_board()
    shop.vendor.release_dms_device(board.uuid)
    assert _claim(shop, shop.owner(), board.uuid).status_code == 201


def test_the_other_way_to_claim_doesnt_go_past_a_code(shop, refused):
    board, owner = shop.board().provision(shop.vendor.create_dms_token().token), shop.owner()
    shop.vendor.add_serial(shop.tag, board.uuid, claim_hash=claim_codes.hashed(CODE, board.uuid))
    headers = {"X-OwnerToken": owner.token}
    response = shop.http.post("/v1/owner/dms/claims.json", json={"uuid": board.uuid}, headers=headers)
    assert CLAIMS in refused(response, 403, "claim_code_required")
    assert _claim(shop, owner, board.uuid, CODE).status_code == 201
    assert shop.vendor.dms_device(board.uuid).owner == owner.name


def test_commands_claim_with_a_code_and_set_one(shop):
    def tool(*arguments):
        return release_support.tool(*arguments, "--server", shop.server.url)

    vendor = ("--vendor-token", shop.server.vendor_token)
    number, owner = shop.serial(), shop.owner()
    assert "has a claim code     yes" in tool("serial", "set", number, "--claim-code", "7k3q x9fd", *vendor)
    assert "claim code required  yes" in tool("product", "set", shop.tag, "--claim-code-required", *vendor)
    with pytest.raises(ToolError, match="claim_code_required"):
        tool("owner", "claim", number, "--owner-token", owner.token)
    with pytest.raises(ToolError, match=r"claim_code: has to be 8 letters and digits|8 letters and digits"):
        tool("owner", "claim", number, "--code", "U", "--owner-token", owner.token)
    assert number in tool("owner", "claim", number, "--code", CODE, "--owner-token", owner.token)
    assert "claim code required  no" in tool("product", "set", shop.tag, "--no-claim-code-required", *vendor)
    with pytest.raises(ToolError, match="--claim-code: has to be 8 letters and digits, like"):
        tool("serial", "set", number, "--claim-code", "U", *vendor)
    assert "has a claim code     no" in tool("serial", "set", number, "--no-claim-code", *vendor)
    with pytest.raises(ToolError, match="nothing to set"):
        tool("product", "set", shop.tag, *vendor)
