"""A device that is known costs no query, and whatever concerns it is seen with its next call."""

from __future__ import annotations

import threading

import msgpack
import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.orm import defer

from contracts.server.queries import watched
from thermokeeper.server.storage.changes import EVERYBODY, Changes
from thermokeeper.server.storage.database import Database
from thermokeeper.server.storage.models import Product, Serial, Template, Thing


def test_the_poll_of_a_known_device_makes_no_query(shop):
    target = shop.version("1", publish=True)
    device = shop.device()
    device.call("GET", "/target-version.json")
    with watched() as queries:
        for _ in range(3):
            assert device.call("GET", "/target-version.json").json()["id"] == target.id
    assert queries.count == 0


def test_the_first_poll_makes_one_query(shop):
    shop.version("1", publish=True)
    device = shop.device()
    with watched() as queries:
        assert device.call("GET", "/target-version.json").status_code == 200
    assert len(queries.seen) == 1


def test_other_calls_of_a_known_device_ask_nothing_for_its_key(shop):
    device = shop.device()
    device.call("GET", "/target-version.json")
    with watched() as queries:
        device.post_points([{"value": 21.5}])
    assert not [query for query in queries.seen if "key_hash" in query.partition("WHERE")[2]]


def told(device) -> str | None:
    response = device.call("GET", "/target-version.json")
    assert response.status_code in (200, 204), response.text
    return response.json()["name"] if response.status_code == 200 else None


def test_a_poll_is_answered_as_the_route_of_its_path_would(shop):
    shop.version("1 \u00e9\u4e2d", publish=True, description="the first")
    device = shop.device()
    first, second = (device.call("GET", "/target-version.json") for _ in range(2))
    assert first.content == second.content
    assert first.headers["content-type"] == second.headers["content-type"]
    shop.vendor.withdraw(shop.template.id)
    first, second = (device.call("GET", "/target-version.json") for _ in range(2))
    assert (first.status_code, second.status_code) == (204, 204)
    assert first.headers.keys() == second.headers.keys()


def test_what_a_vendor_changes_is_told_with_the_next_poll(shop):
    vendor = shop.vendor
    device, other = shop.device(), shop.device()
    assert (told(device), told(other)) == (None, None)
    one, two = shop.version("1", publish=True), shop.version("2")
    assert (told(device), told(other)) == ("1", "1")
    vendor.publish(two.id)
    assert (told(device), told(other)) == ("2", "2")
    vendor.change_serial(device.number, target_version=one.id)
    assert (told(device), told(other)) == ("1", "2")
    vendor.change_serial(device.number, target_version=None)
    assert told(device) == "2"
    vendor.withdraw(shop.template.id)
    assert told(device) is None
    second = vendor.create_template(f"Second {shop.tag}")
    third = shop.version("3", publish=True, template=second.id)
    vendor.change_serial(device.number, template=second.id)
    assert (told(device), told(other)) == ("3", None)
    vendor.change_version(third.id, description="changed")
    assert device.call("GET", "/target-version.json").json()["description"] == "changed"


def test_what_is_deleted_or_changed_in_bulk_concerns_everybody(tmp_path):
    """Whose keys it is about isn't known then."""
    opened = Database(None, tmp_path)
    with opened.writing() as session:
        template = Template(name="T")
        product = Product(code="p", name="P", default_template=template)
        session.add_all([template, product, Serial(number="A", product=product), Template(name="another")])
    for change in (
        lambda session: session.execute(update(Serial).values(blocked=True)),
        lambda session: session.execute(delete(Template).where(Template.name == "another")),
        lambda session: session.delete(session.scalars(select(Serial)).one()),
    ):
        before = opened.changes.mark("somebody")
        with opened.writing() as session:
            change(session)
            assert opened.changes.mark("somebody") == before, "until it is committed"
        assert opened.changes.mark("somebody") != before
    opened.close()


def test_a_key_that_is_replaced_without_having_been_read_concerns_everybody(tmp_path):
    """Whose it was isn't known then."""
    opened = Database(None, tmp_path)
    with opened.writing() as session:
        template = Template(name="T")
        product = Product(code="p", name="P", default_template=template)
        serial = Serial(number="A", product=product)
        session.add_all([template, product, serial, Thing(name="A", serial=serial, key_hash="a" * 64)])
    before = opened.changes.mark("a" * 64)
    with opened.writing() as session:
        thing = session.scalars(select(Thing).options(defer(Thing.key_hash))).one()
        thing.key_hash = "b" * 64
    assert opened.changes.mark("a" * 64) != before
    opened.close()


@pytest.mark.parametrize("own_target", [False, True])
@pytest.mark.parametrize("own_template", [False, True])
@pytest.mark.parametrize("published", [False, True])
def test_a_first_poll_and_the_next_say_what_the_vendor_is_shown(shop, published, own_template, own_target):
    """The first is looked up in columns, what the vendor sees by the rule: registry.TOLD_BY_KEY, registry.target_of."""
    template = shop.vendor.create_template(f"Own {shop.tag}") if own_template else shop.template
    for each in {shop.template.id, template.id}:
        shop.version(f"P {each[:8]}", publish=published, template=each)
    device = shop.device(**({"template": template.id} if own_template else {}))
    if own_target:
        version = shop.version("of its own", template=template.id)
        shop.vendor.change_serial(device.number, target_version=version.id)
    shown = shop.vendor.serial(device.number).target_version
    assert (shown is not None) == (published or own_target)
    for _ in range(2):
        answer = device.call("GET", "/target-version.json")
        assert (answer.json() if answer.content else None) == (shown and shown.model_dump(exclude_none=True))


def test_what_changes_of_one_serial_number_leaves_the_others_in_memory(shop):
    target = shop.version("1", publish=True)
    device, other = shop.device(), shop.device()
    told(device), told(other)
    shop.vendor.change_serial(device.number, target_version=target.id)
    shop.vendor.block(device.number)
    with watched() as queries:
        assert told(other) == "1"
    assert queries.count == 0


def test_a_blocked_device_is_refused_with_its_next_call(shop, refused):
    device = shop.device()
    told(device)
    shop.vendor.block(device.number)
    refused(device.call("GET", "/target-version.json"), 403, "serial_blocked")
    refused(device.call("GET", "/version.json"), 403, "serial_blocked")
    shop.vendor.unblock(device.number)
    assert told(device) is None


def test_a_key_is_dropped_with_the_next_activation(shop, refused):
    device = shop.device()
    told(device)
    former = device.key
    device.activate()
    assert told(device) is None
    device.key = former
    refused(device.call("GET", "/target-version.json"), 401, "unauthorized")


def test_a_key_opens_no_other_thing_in_memory_either(shop, refused):
    device, other = shop.device(), shop.device()
    told(device), told(other)
    device.thing = other.thing
    refused(device.call("GET", "/target-version.json"), 403, "wrong_thing")


def test_what_was_read_before_a_change_is_not_kept_behind_it(shop, monkeypatch):
    """The change is made while the poll that reads what was before is under way."""
    version = shop.version("1")
    device = shop.device()
    reading, going_on, inside = Database.reading, threading.Event(), threading.Event()

    def held_up(self):
        session = reading(self)
        if not inside.is_set():
            session.get(Thing, device.thing)  # what it sees is as of now
            inside.set()
            assert going_on.wait(30)
        return session

    monkeypatch.setattr(Database, "reading", held_up)
    found = []
    thread = threading.Thread(target=lambda: found.append(told(device)))
    thread.start()
    assert inside.wait(30)
    shop.vendor.publish(version.id)
    going_on.set()
    thread.join()
    assert told(device) == "1"


def test_an_activation_drops_no_other_device(shop):
    device, other = shop.device(), shop.device()
    told(device)
    with watched() as queries:
        told(device)
        assert queries.count == 0
    other.activate()
    with watched() as queries:
        told(device)
    assert queries.count == 0


# -- of the service that speaks MessagePack ----------------------------------------------------------------------------


def dms_told(board) -> str | None:
    response = board.call("GET", "/firmware")
    assert response.status_code in (200, 204), response.content
    return msgpack.unpackb(response.content)["name"] if response.status_code == 200 else None


def test_the_poll_of_a_known_device_of_the_dms_makes_no_query(shop):
    shop.version("1 \u00e9", publish=True)
    board = shop.active_board()
    first = board.call("GET", "/firmware")
    with watched() as queries:
        second = board.call("GET", "/firmware")
    assert queries.count == 0
    assert (first.content, first.headers["content-type"]) == (second.content, second.headers["content-type"])


def test_whatever_concerns_a_device_of_the_dms_is_seen_with_its_next_poll(shop, refused):
    board = shop.claimed_board()
    refused(board.call("GET", "/firmware"), 409, "not_activated")
    assert board.activate(shop.tag).status_code == 200
    assert dms_told(board) is None
    version = shop.version("1", publish=True)
    assert dms_told(board) == "1"
    shop.vendor.change_serial(board.uuid, target_version=shop.version("2").id, force=True)
    assert dms_told(board) == "2"
    shop.vendor.change_serial(board.uuid, target_version=version.id, force=True)
    assert dms_told(board) == "1"
    again = shop.board(board.uuid).provision(shop.vendor.create_dms_token(uuid=board.uuid).token)
    assert dms_told(again) == "1"
    refused(board.call("GET", "/firmware"), 401, "unauthorized")
    shop.vendor.block(board.uuid)
    refused(again.call("GET", "/firmware"), 403, "serial_blocked")


# -- the numbers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shared", [False, True])
def test_a_change_of_one_key_is_not_one_of_all(tmp_path, shared):
    changes = Changes(tmp_path / "changes" if shared else None)
    keys = [f"{number:064x}" for number in range(100)]
    before = [changes.mark(key) for key in keys]
    changes.count(keys[0])
    after = [changes.mark(key) for key in keys]
    assert before[0] != after[0]
    assert sum(one != two for one, two in zip(before, after, strict=True)) < 5
    changes.count(EVERYBODY)
    assert all(changes.mark(key) != mark for key, mark in zip(keys, after, strict=True))


def test_processes_that_share_the_file_see_each_other_s_changes(tmp_path):
    one, other = Changes(tmp_path / "changes"), Changes(tmp_path / "changes")
    before = other.mark("a")
    one.count("a")
    assert other.mark("a") != before
