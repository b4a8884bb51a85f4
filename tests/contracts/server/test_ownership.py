"""Whose a thing is: given up, handed over, taken off; what each owner sees of its readings; tokens and accounts."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

import release_support
from contracts.server.people import Person, refusal_of
from thermokeeper.client.calls import OwnerClient
from thermokeeper.client.connection import Refused
from thermokeeper.contract import claim_codes
from thermokeeper.contract.times import format_time, now
from thermokeeper.errors import ToolError
from thermokeeper.server.rules import ownership


@pytest.fixture
def jane(shop):
    with Person(shop) as person:
        yield person


@pytest.fixture
def john(shop):
    with Person(shop) as person:
        yield person


@pytest.fixture
def device(shop, jane):
    """Jane's."""
    made = shop.device()
    jane.claim(made.number)
    return made


def _audit(shop, subject):
    """Oldest first, without how the subject came to be."""
    lines = [line for line in shop.vendor.audit(subject) if line.what not in ("serial.added", "owner.created")]
    return [(line.who, line.what, line.detail) for line in reversed(lines)]


def _values(person, device):
    return [point.value for point in person.datapoints(device.thing)]


# -- giving up and handing over ----------------------------------------------------------------------------------------


def test_an_owner_gives_a_thing_up_and_another_claims_it(shop, jane, john, device):
    jane.release(device.thing)
    assert shop.vendor.thing(device.thing).owner is None and list(jane.things()) == []
    assert refusal_of(jane.release, device.thing) == (403, "forbidden"), "said again it isn't his any more"
    assert john.claim(device.number).id == device.thing
    assert _audit(shop, device.number) == [
        (f"owner {jane.name}", "serial.claimed", f"to {jane.name}"),
        (f"owner {jane.name}", "thing.released", f"from {jane.name}"),
        (f"owner {john.name}", "serial.claimed", f"to {john.name}"),
    ]


def test_a_thing_is_handed_over_with_a_code_that_is_good_once(shop, jane, john, device):
    made = jane.hand_over(device.thing)
    assert shop.vendor.thing(device.thing).owner == jane.name, "until it is used"
    assert refusal_of(john.claim, device.number, code="0000-0000") == (409, "claimed")
    assert john.claim(device.number, code=made.code.lower()).id == device.thing
    assert john.claim(device.number, code=made.code).id == device.thing, "the answer may have been lost"
    assert shop.vendor.thing(device.thing).owner == john.name
    assert refusal_of(jane.claim, device.number, code=made.code) == (409, "claimed")
    details = [(what, detail) for _, what, detail in _audit(shop, device.number)]
    assert details[1:] == [("thing.offered", ""), ("serial.claimed", f"from {jane.name} to {john.name}")]
    assert made.code not in repr(list(shop.vendor.audit(device.number)))


def test_handing_over_takes_no_label_and_the_label_alone_takes_nothing(shop, jane, john):
    device = shop.device()
    shop.vendor.change_serial(device.number, claim_hash=claim_codes.hashed("7K3Q-X9FD", device.number))
    jane.claim(device.number, code="7K3Q-X9FD")
    assert refusal_of(john.claim, device.number, code="7K3Q-X9FD") == (409, "claimed")
    john.claim(device.number, code=jane.hand_over(device.thing).code)
    assert shop.vendor.thing(device.thing).owner == john.name


def test_a_code_ends_after_a_day(shop, jane, john, device, monkeypatch):
    assert timedelta(hours=24) == ownership.HANDOVER_LIFE
    monkeypatch.setattr(ownership, "HANDOVER_LIFE", timedelta(0))
    code = jane.hand_over(device.thing).code
    assert refusal_of(john.claim, device.number, code=code) == (409, "claimed")


def test_a_code_ends_with_the_next_one_when_it_is_taken_back_and_when_the_thing_changes_hands(shop, jane, john, device):
    first, second = jane.hand_over(device.thing).code, jane.hand_over(device.thing).code
    assert refusal_of(john.claim, device.number, code=first) == (409, "claimed")
    for _ in range(2):
        jane.keep(device.thing)
    assert refusal_of(john.claim, device.number, code=second) == (409, "claimed")
    third = jane.hand_over(device.thing).code
    jane.release(device.thing)
    jane.claim(device.number)
    assert refusal_of(john.claim, device.number, code=third) == (409, "claimed")
    whats = [what for _, what, _ in _audit(shop, device.number)]
    assert whats.count("thing.offered") == 3 and whats.count("thing.kept") == 1


def test_only_its_owner_hands_a_thing_over(shop, jane, john, device):
    for call in (john.hand_over, john.keep, john.release, john.erase):
        assert refusal_of(call, device.thing) == (403, "forbidden")
        assert refusal_of(call, "0" * 32) == (404, "not_found")


def test_of_two_who_claim_with_one_code_at_once_one_wins(shop, jane, john, device):
    code = jane.hand_over(device.thing).code
    with Person(shop) as jim, ThreadPoolExecutor(2) as pool:

        def claims(person):
            try:
                return person.claim(device.number, code=code).id
            except Refused as refused:
                return refused.code

        assert sorted(pool.map(claims, (john, jim)), key=len) == ["claimed", device.thing]


def test_a_blocked_thing_is_not_handed_over(shop, jane, john, device):
    code = jane.hand_over(device.thing).code
    shop.vendor.block(device.number)
    assert refusal_of(john.claim, device.number, code=code) == (403, "serial_blocked")


def test_the_vendor_gives_a_thing_to_whom_he_will_and_takes_owners_off(shop, jane, john, device):
    for _ in range(2):
        shop.vendor.give_thing(device.number, john.name)
    assert shop.vendor.thing(device.thing).owner == john.name and list(jane.things()) == []
    for _ in range(2):
        shop.vendor.release_thing(device.thing)
    assert shop.vendor.thing(device.thing).owner is None
    assert _audit(shop, device.number)[1:] == [
        ("vendor", "thing.given", f"from {jane.name} to {john.name}"),
        ("vendor", "thing.released", f"from {john.name}"),
    ]
    assert refusal_of(shop.vendor.give_thing, device.thing, "0" * 32) == (404, "not_found")
    assert refusal_of(shop.vendor.give_thing, "0" * 32, john.id) == (404, "not_found")


def test_the_board_doesnt_notice(shop, jane, john, device):
    device.call("GET", "/target-version.json")
    john.claim(device.number, code=jane.hand_over(device.thing).code)
    assert device.call("GET", "/target-version.json").status_code == 204
    assert device.post_points([{"value": 1}]).status_code == 204


def test_devices_that_provision_themselves_go_with_their_things(shop, jane, john):
    board = shop.board().provision(shop.vendor.create_dms_token().token)
    for person in (jane, john):
        shop.vendor.grant_access(person.id, shop.tag)
    jane.claim_device(board.uuid)
    assert board.activate(shop.tag).status_code == 200
    (thing,) = jane.things()
    john.claim(board.uuid, code=jane.hand_over(thing.id).code)
    assert shop.vendor.dms_device(board.uuid).owner == john.name
    assert refusal_of(jane.release_device, board.uuid) == (403, "forbidden")
    john.release_device(board.uuid)
    assert shop.vendor.dms_device(board.uuid).owner is None and shop.vendor.thing(thing.id).owner is None
    jane.claim_device(board.uuid)
    assert shop.vendor.thing(thing.id).owner == jane.name, "claimed as before"
    shop.vendor.release_thing(thing.id)
    assert shop.vendor.dms_device(board.uuid).owner is None
    assert board.activate(shop.tag).status_code == 200, "it stays what it is"


def test_a_device_that_is_not_activated_yet_can_be_given_up_too(shop, jane):
    board = shop.board().provision(shop.vendor.create_dms_token().token)
    jane.claim_device(board.uuid)
    shop.vendor.release_dms_device(board.uuid)
    assert list(jane.devices()) == []
    assert _audit(shop, board.uuid)[-1] == ("vendor", "device.released", f"from {jane.name}")
    shop.vendor.release_dms_device(board.uuid)
    assert _audit(shop, board.uuid)[-2][1] != "device.released", "nothing happened"
    assert refusal_of(shop.vendor.release_dms_device, "nobody") == (404, "not_found")


# -- what an owner sees ------------------------------------------------------------------------------------------------


def test_the_first_owner_sees_what_was_measured_before_anybody_had_it(shop, jane):
    device = shop.device()
    device.post_points([{"value": 1}])
    jane.claim(device.number)
    assert _values(jane, device) == [1.0] and jane.thing(device.thing).readings[0].count == 1
    assert jane.thing(device.thing).owned_since == shop.vendor.thing(device.thing).owned_since is not None


@pytest.mark.parametrize("way", ["code", "vendor", "free"])
def test_the_next_owner_sees_nothing_of_the_former_s_time(shop, jane, john, device, way):
    device.post_points([{"value": 1}, {"value": 2, "at": "2068-01-01T00:00:00Z"}])
    device.post_points([{"value": 50}], event="humidity")
    if way == "code":
        john.claim(device.number, code=jane.hand_over(device.thing).code)
    elif way == "vendor":
        shop.vendor.give_thing(device.thing, john.id)
    else:
        jane.release(device.thing)
        device.post_points([{"value": 3}])  # perhaps still in her home
        john.claim(device.number)
    assert _values(john, device) == [] and john.thing(device.thing).readings == []
    device.post_points([{"value": 7}])
    assert _values(john, device) == [7.0]
    assert [(row.value, row.count) for row in john.thing(device.thing).readings] == [(7.0, 1)]
    assert [(row.value, row.count) for row in next(john.things()).readings] == [(7.0, 1)]
    assert len(list(shop.vendor.datapoints(device.thing))) == (5 if way == "free" else 4), "the vendor sees all"
    jane.claim(device.number, code=john.hand_over(device.thing).code)
    assert _values(jane, device) == [], "not even her own, when it was another's in between"


def test_a_reading_from_a_clock_that_was_ahead_doesnt_pass_for_the_next_owner_s(shop, jane, john, device):
    device.post_points([{"value": 2, "at": "2068-01-01T00:00:00Z"}])
    john.claim(device.number, code=jane.hand_over(device.thing).code)
    just_after = john.thing(device.thing).owned_since + timedelta(milliseconds=1)
    device.post_points([{"value": 7, "at": just_after.isoformat(timespec="milliseconds")}])
    assert [row.value for row in john.thing(device.thing).readings] == [7.0]


def test_what_a_board_has_kept_from_the_former_s_time_is_not_the_next_one_s(shop, jane, john, device):
    john.claim(device.number, code=jane.hand_over(device.thing).code)
    device.post_points([{"value": 1, "at": "2026-01-01T00:00:00Z"}])
    assert _values(john, device) == [] and john.thing(device.thing).readings == []
    assert [point.value for point in shop.vendor.datapoints(device.thing)] == [1.0]


def test_hours_and_csv_keep_to_the_owner_s_time_too(shop, jane, john, device, monkeypatch):
    def at(hours: float) -> str:
        return format_time(now() + timedelta(hours=hours))

    device.post_points([{"value": 1, "at": at(-5)}, {"value": 2, "at": at(3)}])  # the second of a clock that is ahead
    assert (
        len(list(jane.hours(device.thing))) == 2 and len(b"".join(jane.datapoints_csv(device.thing)).splitlines()) == 3
    )
    monkeypatch.setattr(ownership, "now", lambda: now() - timedelta(hours=3))
    john.claim(device.number, code=jane.hand_over(device.thing).code)
    assert list(john.hours(device.thing)) == []
    device.post_points([{"value": 3, "at": at(-1)}, {"value": 4, "at": at(-4)}])
    assert [hour.mean for hour in john.hours(device.thing)] == [3]
    lines = b"".join(john.datapoints_csv(device.thing)).decode().splitlines()
    assert [line.split(",")[1] for line in lines] == ["value", "3.0"]
    assert john.erase(device.thing) == 2, "what came late is deleted with the rest"
    assert list(john.hours(device.thing)) == [] and len(list(shop.vendor.hours(device.thing))) == 2


def test_a_choice_of_what_it_runs_ends_with_its_owner(shop, jane, john, device):
    first = shop.version("1", publish=True)
    assert jane.choose_target(device.thing, first.id).target_by_owner
    second = shop.version("2", publish=True)
    found = john.claim(device.number, code=jane.hand_over(device.thing).code)
    assert (found.target_by_owner, found.target_version.id) == (False, second.id)
    shop.vendor.change_serial(device.number, target_version=first.id)
    shop.vendor.release_thing(device.thing)
    assert shop.vendor.serial(device.number).target_version.id == first.id, "the vendor's stays"


def test_a_thing_that_is_handed_over_gets_a_name_that_its_new_owner_has_not(shop, jane, john, device):
    john.claim(shop.serial(), "Cellar")
    jane.claim(device.number, "Cellar")
    assert refusal_of(john.claim, device.number, "Cellar", jane.hand_over(device.thing).code) == (409, "name_taken")
    assert shop.vendor.thing(device.thing).owner == jane.name, "and the code is as good as before"
    assert john.claim(device.number, code=jane.hand_over(device.thing).code).name == "Cellar 2"
    assert jane.claim(shop.serial(), "Cellar").name == "Cellar"


# -- deleting readings -------------------------------------------------------------------------------------------------


def test_an_owner_deletes_the_readings_of_its_own_time_only(shop, jane, john, device):
    device.post_points([{"value": 1}, {"value": 2}])
    john.claim(device.number, code=jane.hand_over(device.thing).code)
    device.post_points([{"value": 3}])
    device.post_points([{"value": 40}], event="humidity")
    assert john.erase(device.thing) == 2
    assert _values(john, device) == [] and john.thing(device.thing).readings == []
    assert [point.value for point in shop.vendor.datapoints(device.thing)] == [2.0, 1.0]
    assert [(row.event, row.value, row.count) for row in shop.vendor.thing(device.thing).readings] == [
        ("temperature", 2.0, 2)
    ]
    device.post_points([{"value": 5}])
    assert _values(john, device) == [5.0]
    assert _audit(shop, device.number)[-1] == (f"owner {john.name}", "thing.erased", "")


def test_the_vendor_deletes_all_that_a_thing_has_told_in_pieces(shop, jane, john, device, monkeypatch):
    monkeypatch.setattr("thermokeeper.server.http.erasing._AT_ONCE", 3)
    device.post_points([{"value": value} for value in range(8)])
    other = shop.device()
    other.post_points([{"value": 1}])
    device.post_points([{"value": 9}])
    device.call("PUT", "/properties/place/value.json", {"value": "Jane's bedroom"})
    john.claim(device.number, code=jane.hand_over(device.thing).code)
    assert shop.vendor.erase_thing(device.thing) == 9
    shown = shop.vendor.thing(device.thing)
    assert (shown.readings, shown.properties, shown.owner) == ([], [], john.name)
    assert list(shop.vendor.datapoints(device.thing)) == []
    assert len(list(shop.vendor.datapoints(other.thing))) == 1
    device.post_points([{"value": 5}])
    assert _values(john, device) == [5.0], "also where the database gives numbers again"
    assert shop.vendor.erase_thing(device.thing) == 1


# -- tokens and accounts -----------------------------------------------------------------------------------------------


def test_an_owner_renews_its_token_and_the_old_one_stops_at_once(shop, jane, device):
    old = jane.token
    new = jane.renew_token()
    assert [thing.id for thing in jane.things()] == [device.thing]
    with OwnerClient(shop.server.url, old) as former:
        assert refusal_of(lambda: list(former.things())) == (401, "unauthorized")
        assert refusal_of(former.renew_token) == (401, "unauthorized")
    assert _audit(shop, jane.name) == [(f"owner {jane.name}", "owner.token_renewed", "")]
    assert new not in repr(list(shop.vendor.audit()))


def test_of_renewals_at_once_one_wins_and_its_token_is_good(shop, jane):
    headers = {"X-OwnerToken": jane.token}
    with ThreadPoolExecutor(4) as pool:
        answers = list(
            pool.map(lambda _: shop.http.post("/v1/owner/token/renew.json", headers=headers), range(4)),
        )
    (won,) = [answer for answer in answers if answer.status_code == 200]
    assert {answer.status_code for answer in answers} == {200, 401}
    assert won.headers["cache-control"] == "no-store"
    with OwnerClient(shop.server.url, won.json()["token"]) as again:
        assert list(again.things()) == []


def test_the_vendor_renews_and_revokes_an_owner_s_token(shop, jane, device):
    made = shop.vendor.renew_token(jane.name)
    assert (made.id, made.name) == (jane.id, jane.name)
    assert refusal_of(lambda: list(jane.things())) == (401, "unauthorized")
    with OwnerClient(shop.server.url, made.token) as renewed:
        assert [thing.id for thing in renewed.things()] == [device.thing]
        for _ in range(2):
            shop.vendor.revoke_token(jane.id)
        assert refusal_of(lambda: list(renewed.things())) == (401, "unauthorized")
    assert shop.vendor.thing(device.thing).owner == jane.name
    assert [what for _, what, _ in _audit(shop, jane.name)] == [
        "owner.token_renewed",
        "owner.token_revoked",
        "owner.token_revoked",
    ]
    for call in (shop.vendor.renew_token, shop.vendor.revoke_token, shop.vendor.delete_owner):
        assert refusal_of(call, "0" * 32) == (404, "not_found")


def test_an_owner_is_removed_once_it_has_nothing(shop, jane, device):
    board = shop.board().provision(shop.vendor.create_dms_token().token)
    jane.claim_device(board.uuid)
    shop.vendor.grant_access(jane.id, shop.tag)
    with pytest.raises(Refused, match="1 things and 1 devices .*thing release.*thing hand-over") as refused:
        shop.vendor.delete_owner(jane.name)
    assert (refused.value.status, refused.value.code) == (409, "in_use")
    jane.release(device.thing)
    assert refusal_of(shop.vendor.delete_owner, jane.id) == (409, "in_use")
    jane.release_device(board.uuid)
    shop.vendor.delete_owner(jane.name)
    assert refusal_of(lambda: list(jane.things())) == (401, "unauthorized")
    assert jane.name not in [row.name for row in shop.vendor.owners()]
    assert _audit(shop, jane.name)[-1] == ("vendor", "owner.deleted", "")
    assert shop.vendor.create_owner(jane.name).id != jane.id


# -- commands ----------------------------------------------------------------------------------------------------------


def test_commands_say_what_they_did(shop, jane, john, device):
    def tool(*words, who=None):
        token = ("--owner-token", who.token) if who else ("--vendor-token", shop.server.vendor_token)
        return release_support.tool(*words, "--server", shop.server.url, *token)

    code = json.loads(tool("owner", "hand-over", device.thing, "--json", who=jane))["code"]
    assert f"kept  {device.thing}\n" == tool("owner", "hand-over", device.thing, "--withdraw", who=jane)
    with pytest.raises(ToolError, match="409 claimed"):
        tool("owner", "claim", device.number, "--code", code, who=john)
    code = tool("owner", "hand-over", device.thing, who=jane).split()[1]
    assert device.number in tool("owner", "claim", device.number, "--code", code, who=john)
    assert f"erased  {device.thing}\ndatapoints  0\n" == tool("owner", "erase", device.thing, who=john)
    assert f"released  {device.thing}\n" == tool("owner", "release", device.thing, who=john)
    assert f"owner  {jane.name}\n" in tool("thing", "hand-over", device.number, jane.name)
    assert f"{jane.name}, since 20" in tool("thing", "show", device.number)
    with pytest.raises(ToolError, match=r"1 things .*409 in_use"):
        tool("owner", "delete", jane.name)
    assert json.loads(tool("thing", "release", device.number, "--json")) == {"released": device.number}
    jane.token = tool("owner", "renew-token", who=jane).split()[1]
    assert "(none)" in tool("owner", "things", who=jane)
    jane.token = json.loads(tool("owner", "token", "renew", jane.name, "--json"))["token"]
    assert "(none)" in tool("owner", "things", who=jane)
    assert f"revoked  {jane.name}\n" == tool("owner", "token", "revoke", jane.name)
    assert f"deleted  {jane.name}\n" == tool("owner", "delete", jane.name)
    board = shop.board().provision(shop.vendor.create_dms_token().token)
    tool("owner", "claim-device", board.uuid, who=john)
    assert f"released  {board.uuid}\n" == tool("owner", "release-device", board.uuid, who=john)
    assert f"released  {board.uuid}\n" == tool("dms", "device", "release", board.uuid)
