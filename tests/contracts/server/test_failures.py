"""What devices report of updates that failed or that they refused is kept with their things, and counted."""

import json
from datetime import timedelta

import pytest
from click.testing import CliRunner

from contracts.server.queries import watched
from thermokeeper.client.commands import GROUPS
from thermokeeper.server.rules import failures
from thermokeeper.server.settings import Limits

GONE = "a" * 32


class Clock:
    def __init__(self, monkeypatch) -> None:
        self._now, self._passed = failures.now, timedelta()
        monkeypatch.setattr(failures, "now", lambda: self._now() + self._passed)

    def passes(self, **time: float) -> None:
        self._passed += timedelta(**time)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def _tell(device, text: object) -> None:
    assert device.call("PUT", "/properties/updateFailure/value.json", {"value": text}).status_code == 204


def _found(shop, which: str) -> list[tuple[str | None, str, str, int]]:
    return [(one.version_id, one.version, one.why, one.count) for one in shop.vendor.thing(which).update_failures]


def test_what_a_board_tells_as_a_property_is_a_failure_of_its_thing(shop, clock):
    device = shop.device()
    assert _found(shop, device.number) == []
    _tell(device, f"2.0.0 ({GONE}): reset; crash: ValueError: broken (on purpose)")
    (found,) = shop.vendor.thing(device.number).update_failures
    assert (found.version_id, found.version, found.count) == (GONE, "2.0.0", 1)
    assert found.why == "reset; crash: ValueError: broken (on purpose)" and found.first == found.last
    value = device.call("GET", "/properties/updateFailure/value.json").json()["value"]
    assert value == f"2.0.0 ({GONE}): reset; crash: ValueError: broken (on purpose)", "as it was"
    clock.passes(hours=1)
    _tell(device, f"2.0.0 ({GONE}): watchdog")
    (again,) = shop.vendor.thing(device.number).update_failures
    assert (again.why, again.count) == ("watchdog", 2)
    assert again.first == found.first and again.last - again.first >= timedelta(hours=1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.0.0 (unknown): safe mode, it keeps crashing", [(None, "1.0.0", "safe mode, it keeps crashing", 1)]),
        (f"2 (beta) ({GONE}): why (x): y", [(GONE, "2 (beta)", "why (x): y", 1)]),
        ("no form at all", [(None, "", "no form at all", 1)]),
        (f"2 ({GONE}): a\0b\ud800", [(GONE, "2", "a\ufffdb?", 1)]),
        (f"2 ({GONE}): {'x' * 900}", [(GONE, "2", "x" * 300, 1)]),
        ("", []),
        (None, []),
        (5, []),
    ],
)
def test_any_value_of_the_property_is_taken(shop, text, expected):
    device = shop.device()
    body = json.dumps({"value": text}).encode()
    path = "/properties/updateFailure/value.json"
    headers = {"Content-Type": "application/json"}
    status = device.call("PUT", path, content=body, headers=headers).status_code
    if status == 400:  # JSON that is no text at all
        assert isinstance(text, str) and "\ud800" in text
        return
    assert _found(shop, device.number) == expected


def test_a_report_whose_answer_was_lost_is_counted_once(shop, clock):
    device = shop.device()
    text = f"2.0.0 ({GONE}): watchdog"
    for _ in range(3):  # each look again, a quarter of an hour later
        _tell(device, text)
        clock.passes(minutes=15)
    assert _found(shop, device.number) == [(GONE, "2.0.0", "watchdog", 1)]
    clock.passes(minutes=46)  # the earliest at which a board that rolled back has tried again
    _tell(device, text)
    assert _found(shop, device.number) == [(GONE, "2.0.0", "watchdog", 2)]
    _tell(device, f"2.0.0 ({GONE}): another reason")
    assert _found(shop, device.number) == [(GONE, "2.0.0", "another reason", 3)]


def test_a_device_of_the_other_service_tells_the_same(shop, clock):
    board = shop.active_board()
    told = {"id": GONE, "version": "2.0.0", "why": "watchdog"}
    for _ in range(2):
        assert board.call("POST", "/firmware/failure", told).status_code == 204
    assert _found(shop, board.uuid) == [(GONE, "2.0.0", "watchdog", 1)]
    (property_,) = shop.vendor.thing(board.uuid).properties
    assert (property_.name, property_.value) == ("updateFailure", f"2.0.0 ({GONE}): watchdog")


def test_the_oldest_make_room(shop, clock):
    device, limit = shop.device(), Limits().failures_of_a_thing
    for number in [*range(limit + 2), 4, limit + 2, limit + 3, limit + 4]:
        _tell(device, f"{number} ({number:032x}): why")
        clock.passes(minutes=1)
    kept = [one.version for one in shop.vendor.thing(device.number).update_failures]
    assert kept == [str(number) for number in (limit + 4, limit + 3, limit + 2, 4, *range(limit + 1, 5, -1))]


def test_a_thing_with_all_the_properties_that_it_may_have_can_still_tell(shop):
    device = shop.device()
    for number in range(Limits().properties_of_a_thing):
        device.call("PUT", f"/properties/p{number}/value.json", {"value": number})
    _tell(device, f"2.0.0 ({GONE}): watchdog")
    assert len(_found(shop, device.number)) == 1
    assert device.call("PUT", "/properties/more/value.json", {"value": 1}).status_code == 413


def test_failures_of_a_version_and_of_a_template_are_listed_last_told_first(shop, clock, refused):
    first, second = shop.version("1"), shop.version("2")
    devices = [shop.device() for _ in range(7)]
    for number, device in enumerate(devices):
        for version in (first, second):
            clock.passes(minutes=1)
            _tell(device, f"{version.name} ({version.id}): reason {number}")
    clock.passes(hours=1)
    _tell(devices[2], f"2 ({second.id}): once more")
    other = shop.vendor.create_template(f"Others {shop.tag}")
    assert list(shop.vendor.template_failures(other.id)) == []
    of_second = list(shop.vendor.failures(second.id))
    assert [(one.serial_number, one.count) for one in of_second] == [
        (devices[number].number, 2 if number == 2 else 1) for number in (2, 6, 5, 4, 3, 1, 0)
    ]
    assert of_second[0].thing == devices[2].thing and of_second[0].why == "once more"
    whole = list(shop.vendor.template_failures(shop.template.id))
    assert len(whole) == 14 and [one.last for one in whole] == sorted((one.last for one in whole), reverse=True)
    headers = {"X-VendorToken": shop.server.vendor_token}
    path = f"/v1/vendor/templates/{shop.template.id}/failures.json"
    paged, after = [], ""
    while after is not None:
        page = shop.http.get(path, params={"limit": 3} | ({"after": after} if after else {}), headers=headers).json()
        paged += [(one["thing"], one["versionId"]) for one in page["items"]]
        after = page["next"]
    assert paged == [(one.thing, one.version_id) for one in whole]
    for wrong in ("x", "5", "5-", "-5", "9" * 18 + "-1", "1-" + "9" * 30):
        refused(shop.http.get(path, params={"after": wrong}, headers=headers), 400, "bad_request")


def test_failures_outlive_their_version_and_a_device_that_tells_of_none(shop):
    version, device = shop.version("1"), shop.device()
    _tell(device, f"1 ({version.id}): watchdog")
    shop.vendor.delete_version(version.id)
    assert _found(shop, device.number) == [(version.id, "1", "watchdog", 1)]


def test_failures_cost_no_query_for_each_row_and_walk_no_fleet(shop, engine):
    version = shop.version("1")
    with watched() as queries:
        for _ in range(25):
            _tell(shop.device(), f"1 ({version.id}): watchdog")
    assert queries.walks(engine) == []
    for listed in (shop.vendor.failures, shop.vendor.template_failures):
        with watched() as queries:
            assert len(list(listed(version.id if listed == shop.vendor.failures else shop.template.id))) == 25
        assert queries.count <= 12
        assert [step for step in queries.walks(engine) if "update_failures" in step and "SCAN" in step] == []
    with watched() as queries:
        found = list(shop.vendor.things())
    assert sum(len(one.update_failures) for one in found if one.product == shop.tag) == 25
    assert queries.count <= 7 * -(-len(found) // 100)


def test_commands_show_them(shop, tmp_path, clock):
    token = tmp_path / "token"
    token.write_text(shop.server.vendor_token)
    environment = {"THERMOKEEPER_SERVER": shop.server.url, "THERMOKEEPER_VENDOR_TOKEN_FILE": str(token)}
    groups = {group.name: group for group in GROUPS}

    def run(*words: str) -> str:
        result = CliRunner().invoke(groups[words[0]], words[1:], env=environment, catch_exceptions=False)
        return result.output

    version, device = shop.version("2"), shop.device()
    _tell(device, f"2.0.0 ({version.id}): watch\x1b[2Jdog")
    shown = run("thing", "show", device.number)
    assert "failed update 2.0.0" in shown and "watch\ufffd[2Jdog (1 times, last 2" in shown
    (found,) = json.loads(run("thing", "show", device.number, "--json"))["updateFailures"]
    assert (found["versionId"], found["version"], found["count"]) == (version.id, "2.0.0", 1)
    for words in (("version", "failures", version.id), ("template", "failures", shop.template.name)):
        assert device.number in run(*words) and "watch\ufffd[2Jdog" in run(*words)
        assert json.loads(run(*words, "--json"))[0]["serialNumber"] == device.number
