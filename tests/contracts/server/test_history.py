"""Readings over time: found by it, summed up in hours that stay, written as CSV, and removed when they are old."""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
import threading
import tracemalloc
from dataclasses import replace
from datetime import datetime, timedelta

import httpx
import pytest
from sqlalchemy import func, insert, select, update

from contracts.server.test_fleet import watched
from thermokeeper.client.calls import OwnerClient
from thermokeeper.contract.times import format_time, now
from thermokeeper.errors import ToolError
from thermokeeper.server.http.csv_answers import blocks_of
from thermokeeper.server.http.readings import Filter, datapoints_csv
from thermokeeper.server.local import LocalServer
from thermokeeper.server.rules.ownership import Seen
from thermokeeper.server.settings import Settings
from thermokeeper.server.storage import retention
from thermokeeper.server.storage.database import DATABASE_FILE
from thermokeeper.server.storage.models import Datapoint
from thermokeeper.server.storage.retention import Retention

HOUR = (now() - timedelta(days=2)).replace(minute=0, second=0, microsecond=0)


def _at(minutes: float) -> str:
    return format_time(HOUR + timedelta(minutes=minutes))


def _point(value: float, minutes: float) -> dict[str, object]:
    return {"value": value, "at": _at(minutes)}


@pytest.fixture
def measured(shop):
    """A device with five temperatures in two hours, and a humidity."""
    device = shop.device()
    device.post_points([_point(21, 0), _point(23, 59), _point(-4, 60)])
    device.post_points([_point(22, 30), _point(0.5, 119)])
    device.post_points([_point(40, 10)], "humidity")
    return device


# -- by time -----------------------------------------------------------------------------------------------------------


def test_with_a_time_it_is_what_was_measured_then_last_measured_first(shop, measured):
    def values(since=None, until=None, event="temperature"):
        moments = {
            name: None if at is None else HOUR + timedelta(minutes=at)
            for name, at in (("since", since), ("until", until))
        }
        return [row.value for row in shop.vendor.datapoints(measured.thing, event, **moments)]

    assert values() == [0.5, 22, -4, 23, 21], "last arrived first"
    assert values(since=0) == [0.5, -4, 23, 22, 21]
    assert values(since=30, until=60) == [23, 22], "from the first on, before the second"
    assert values(until=30) == [21] and values(since=200) == []
    assert values(since=0, until=30, event=None) == [40, 21]


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_pages_by_time_have_each_point_once_also_of_one_moment(shop, measured, limit):
    measured.post_points([_point(value, 60) for value in range(5)])
    query = {"from": _at(0), "limit": limit, "event": "temperature"}
    headers, found = {"X-VendorToken": shop.server.vendor_token}, []
    while True:
        path = f"/v1/vendor/things/{measured.thing}/datapoints.json"
        page = shop.http.get(path, params=query, headers=headers).json()
        found += [row["value"] for row in page["items"]]
        assert len(page["items"]) <= limit
        if page["next"] is None:
            break
        query["after"] = page["next"]
    assert found == [0.5, 4, 3, 2, 1, 0, -4, 23, 22, 21]


_LISTS = ("datapoints.json", "datapoints.csv", "hours.json")
_NO_TIME = [f"{name}?{query}" for name in _LISTS for query in ("from=now", "to=2026", "event=a b")]
_NO_PAGE = [
    *("datapoints.json?after=x", "datapoints.json?from=2026-11-21T00:00:00Z&after=1", "hours.json?after=1"),
    *("datapoints.json?from=2026-11-21T00:00:00Z&after=1.x", f"hours.json?after={'9' * 18}.temperature"),
]


@pytest.mark.parametrize("query", [*_NO_TIME, *_NO_PAGE])
def test_a_query_that_is_none_is_refused(shop, measured, refused, query):
    headers = {"X-VendorToken": shop.server.vendor_token}
    refused(shop.http.get(f"/v1/vendor/things/{measured.thing}/{query}", headers=headers), 400, "bad_request")


def test_an_owner_asks_for_the_same_of_own_things_only(shop, measured, refused):
    mine, other = shop.owner(), shop.owner()
    with OwnerClient(shop.server.url, mine.token) as client:
        client.claim(measured.number)
        assert [row.value for row in client.datapoints(measured.thing, since=HOUR + timedelta(minutes=60))] == [0.5, -4]
        assert [row.count for row in client.hours(measured.thing, "temperature")] == [2, 3]
        assert b"".join(client.datapoints_csv(measured.thing)).count(b"\r\n") == 7
    for name in _LISTS:
        path = f"/v1/owner/things/{measured.thing}/{name}"
        refused(shop.http.get(path, headers={"X-OwnerToken": other.token}), 403, "forbidden")


# -- hours -------------------------------------------------------------------------------------------------------------


def _hours(shop, device, event="temperature"):
    return [(row.start - HOUR, row.count, row.mean, row.min, row.max) for row in shop.vendor.hours(device.thing, event)]


def test_an_hour_has_its_count_mean_least_and_most_in_whatever_order_points_come(shop, measured):
    first, second = timedelta(0), timedelta(hours=1)
    assert _hours(shop, measured) == [(second, 2, -1.75, -4, 0.5), (first, 3, 22, 21, 23)]
    assert _hours(shop, measured, "humidity") == [(first, 1, 40, 40, 40)]
    assert [row.event for row in shop.vendor.hours(measured.thing)] == ["temperature", "temperature", "humidity"]
    since = HOUR + timedelta(hours=1)
    assert [row.start for row in shop.vendor.hours(measured.thing, since=since)] == [since]
    assert [row.start for row in shop.vendor.hours(measured.thing, "temperature", until=since)] == [HOUR]
    assert [row.start for row in shop.vendor.hours(measured.thing, "temperature", 1)] == [since]


def test_hours_come_page_by_page(shop, measured):
    headers = {"X-VendorToken": shop.server.vendor_token}
    query, found = {"limit": 1}, []
    while query.get("after", "first") is not None:
        path = f"/v1/vendor/things/{measured.thing}/hours.json"
        page = shop.http.get(path, params=query, headers=headers).json()
        found += [(row["event"], row["count"]) for row in page["items"]]
        query["after"] = page["next"]
    assert found == [("temperature", 2), ("temperature", 3), ("humidity", 1)]


def test_a_point_counts_once_however_often_it_is_sent(shop, measured):
    before = _hours(shop, measured)
    for _ in range(2):
        measured.post_points([_point(21, 0), _point(23, 59), _point(23, 59)])
    assert _hours(shop, measured) == before


def test_times_that_can_not_be_true_count_in_no_hour(shop):
    device = shop.device()
    times = ["1970-01-01T00:00:00Z", "2068-01-01T00:00:00Z", format_time(now() - timedelta(days=32))]
    device.post_points([{"value": 1, "at": at} for at in times])
    assert list(shop.vendor.hours(device.thing)) == []
    device.post_points([{"value": 1}, {"value": 2, "at": format_time(now() - timedelta(days=30))}])
    assert [row.mean for row in shop.vendor.hours(device.thing)] == [1, 2]


def test_readings_that_come_to_infinity_are_still_numbers(shop):
    device = shop.device()
    for _ in range(2):
        device.post_points([{"value": 1.7e308}, {"value": 1.6e308}, {"value": 1.7e308}])
    (hour,) = shop.vendor.hours(device.thing)
    assert hour.count == 6 and hour.min <= hour.mean <= hour.max == 1.7e308


# -- CSV ---------------------------------------------------------------------------------------------------------------


def test_csv_is_what_a_spreadsheet_takes(shop, measured):
    headers = {"X-VendorToken": shop.server.vendor_token}
    path = f"/v1/vendor/things/{measured.thing}/datapoints.csv"
    answer = shop.http.get(path, headers=headers, params={"event": "temperature", "to": _at(60)})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == f'attachment; filename="{measured.number}.csv"'
    heading, *rows = csv.reader(io.StringIO(answer.text))
    assert heading == ["event", "value", "at", "arrived"]
    assert [row[:3] for row in rows] == [
        ["temperature", "21.0", _at(0)],
        ["temperature", "22.0", _at(30)],
        ["temperature", "23.0", _at(59)],
    ]
    assert shop.http.get(path, headers=headers, params={"from": _at(500)}).text == "event,value,at,arrived\r\n"


def test_no_text_is_a_formula():
    rows = [("=1+1", "+1", "-1", "@x", "\tx", "\r", "x=1", -1.5, 'a"b,c')]
    (line,) = csv.reader(io.StringIO(b"".join(blocks_of(rows)).decode(), newline=""))
    assert line == ["'=1+1", "'+1", "'-1", "'@x", "'\tx", "'\r", "x=1", "-1.5", 'a"b,c']


def _fill(shop, device, count: int, arrived: datetime | None = None) -> None:
    row = {"thing_id": device.thing, "event": "temperature", "arrived_at": arrived or now()}
    with shop.server.context.database.writing() as session:
        rows = [{**row, "value": 20.0, "at": HOUR + timedelta(seconds=number // 3)} for number in range(count)]
        session.execute(insert(Datapoint), rows)


def test_csv_has_every_row_once_and_takes_no_memory_for_them(shop):
    device = shop.device()
    _fill(shop, device, 30_000)
    found = sum(1 for block in shop.vendor.datapoints_csv(device.number) for line in block.splitlines() if line)
    assert 30_001 <= found <= 30_001 + 700, "lines that two pieces share are counted twice"
    whole = b"".join(shop.vendor.datapoints_csv(device.number)).splitlines()
    assert len(whole) == 30_001 and len(set(whole)) == 10_001
    # as it is answered, in this thread: what 30,000 rows would take at once is 20 MB
    blocks = datapoints_csv(shop.server.context, Seen(device.thing), device.number, Filter())._blocks
    next(blocks)
    tracemalloc.start()
    size = sum(len(block) for block in blocks)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size > 1_500_000 and peak < 4_000_000, peak


def test_csv_that_breaks_off_is_no_whole_file(tmp_path, make_shop, caplog):
    with LocalServer(tmp_path) as server, httpx.Client(base_url=server.url, timeout=20) as http:
        shop = make_shop(server, http)
        device = shop.device()
        _fill(shop, device, 100_000)
        pieces = shop.vendor.datapoints_csv(device.number)
        assert next(pieces).startswith(b"event,")
        connection = sqlite3.connect(tmp_path / DATABASE_FILE, timeout=20)
        connection.execute("ALTER TABLE datapoints RENAME TO gone")
        connection.close()
        with pytest.raises(ToolError, match="broke off"):
            list(pieces)
        shop.vendor.close()
    assert "a list that is being sent: no such table" in caplog.text and "Traceback" not in caplog.text


# -- retention ---------------------------------------------------------------------------------------------------------


def _counts(shop) -> int:
    with shop.server.context.database.reading() as session:
        return session.scalar(select(func.count()).select_from(Datapoint)) or 0


@pytest.fixture
def own(tmp_path, make_shop):
    """A shop with a server of its own."""
    with LocalServer(tmp_path) as server, httpx.Client(base_url=server.url, timeout=20) as http:
        made = make_shop(server, http)
        yield made
        made.vendor.close()


def test_points_go_so_many_days_after_they_arrived_and_their_hours_stay(own):
    device = own.device()
    device.post_points([_point(21, 0), _point(23, 1)])
    hours = _hours(own, device)
    with own.server.context.database.writing() as session:
        session.execute(update(Datapoint).values(arrived_at=now() - timedelta(days=10)))
    device.post_points([_point(25, 2), {"value": 1, "at": "1970-01-01T00:00:00Z"}])
    database = own.server.context.database
    assert Retention(database, 11).sweep() == 0
    assert Retention(database, 9, rows=1).sweep() == 2
    assert [row.value for row in own.vendor.datapoints(device.thing)] == [1, 25], "by arrival, not by a device's clock"
    ((start, count, mean, least, most),) = _hours(own, device)
    assert (start, count, mean, least, most) == (timedelta(0), 3, 23, 21, 25) and hours[0][1] == 2
    assert own.vendor.thing(device.thing).readings[0].count == 4
    assert Retention(database, 9).sweep() == 0


def test_new_points_do_not_pass_for_old_ones_whose_numbers_they_get(own):
    """SQLite gives the last numbers again, and an owner sees what came behind the last of the former one's."""
    device, former, owner = own.device(), own.owner(), own.owner()
    with OwnerClient(own.server.url, former.token) as jane, OwnerClient(own.server.url, owner.token) as john:
        jane.claim(device.number)
        device.post_points([{"value": 1}, {"value": 2}])
        john.claim(device.number, code=jane.hand_over(device.thing).code)
        with own.server.context.database.writing() as session:
            session.execute(update(Datapoint).values(arrived_at=now() - timedelta(days=10)))
        assert Retention(own.server.context.database, 9).sweep() == 2
        device.post_points([{"value": 3}])
        assert [point.value for point in john.datapoints(device.thing)] == [3]


def test_hours_of_a_former_owner_outlive_the_points_and_what_the_next_one_deletes(own):
    device, former, owner = own.device(), own.owner(), own.owner()
    with OwnerClient(own.server.url, former.token) as jane, OwnerClient(own.server.url, owner.token) as john:
        jane.claim(device.number)
        device.post_points([_point(21, 0)])
        john.claim(device.number, code=jane.hand_over(device.thing).code)
        with own.server.context.database.writing() as session:
            session.execute(update(Datapoint).values(arrived_at=now() - timedelta(days=10)))
        assert Retention(own.server.context.database, 9).sweep() == 1
        assert list(john.hours(device.thing)) == []
        assert john.erase(device.thing) == 0
        assert [hour.mean for hour in own.vendor.hours(device.thing)] == [21]


def test_a_point_that_arrived_between_old_ones_and_is_not_old_stays(own):
    """The server's clock may have been wrong for a while."""
    device = own.device()
    for arrived in (now() - timedelta(days=6), now(), now() - timedelta(days=6)):
        _fill(own, device, 1, arrived)
    assert Retention(own.server.context.database, 5).sweep() == 2
    assert _counts(own) == 1


def test_a_server_that_is_told_how_long_does_it_by_itself(tmp_path, monkeypatch, make_shop):
    monkeypatch.setattr(retention, "_EVERY_S", 0.01)
    gone = threading.Event()
    sweep = Retention.sweep

    def seen(self: Retention) -> int:
        removed = sweep(self)
        if removed:
            gone.set()
        return removed

    monkeypatch.setattr(Retention, "sweep", seen)
    settings = replace(Settings(tmp_path, "0" * 32), keep_points_days=5)
    with LocalServer(tmp_path, settings=settings) as server, httpx.Client(base_url=server.url) as http:
        shop = make_shop(server, http)
        _fill(shop, shop.device(), 20, now() - timedelta(days=6))
        assert gone.wait(20)
        assert _counts(shop) == 0
        shop.vendor.close()


def test_others_write_between_the_pieces_of_a_removal(own):
    """Each transaction is of a few rows, and gives the only writer's place away."""
    device = own.device()
    _fill(own, device, 1000, now() - timedelta(days=6))
    database = own.server.context.database
    removing = Retention(database, 5, rows=100)
    left: list[int] = []
    real = removing._remove_behind

    def seen(row_id: int) -> tuple[int, int]:
        found = real(row_id)
        device.post_points([{"value": 1}])  # would wait for ever inside of a transaction
        left.append(_counts(own))
        return found

    removing._remove_behind = seen
    assert removing.sweep() == 1000
    assert left[:3] == [901, 802, 703] and left[-1] == 11


def test_two_that_remove_at_once_remove_all_and_nothing_more(own):
    device = own.device()
    _fill(own, device, 900, now() - timedelta(days=6))
    _fill(own, device, 50)
    database = own.server.context.database
    both = [threading.Thread(target=Retention(database, 5, rows=50).sweep) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert _counts(own) == 50


def test_a_removal_that_the_database_does_not_take_is_one_line_and_tried_again(own, caplog):
    device = own.device()
    _fill(own, device, 10, now() - timedelta(days=6))
    removing = Retention(own.server.context.database, 5)
    connection = sqlite3.connect(own.server.settings.data_dir / DATABASE_FILE)
    connection.execute("ALTER TABLE datapoints RENAME TO hidden")
    assert removing.sweep() == 0
    connection.execute("ALTER TABLE hidden RENAME TO datapoints")
    connection.close()
    assert [line for line in caplog.messages if "can't be removed yet: no such table" in line]
    assert removing.sweep() == 10


def test_no_question_about_readings_walks_those_of_others(shop, engine, measured):
    days = {"since": HOUR, "until": HOUR + timedelta(days=1)}
    with watched() as queries:
        for event in (None, "temperature"):
            list(shop.vendor.datapoints(measured.thing, event, **days))
            list(shop.vendor.hours(measured.thing, event, **days))
            list(shop.vendor.datapoints_csv(measured.thing, event, **days))
        measured.post_points([_point(1, 300)])
        Retention(shop.server.context.database, 10_000).sweep()
    assert queries.walks(engine) == []
    plans = queries.plans(engine, "FROM datapoints") + queries.plans(engine, "FROM reading_hours")
    assert len(plans) >= 8 and not any("TEMP B-TREE" in step for step in plans), plans


# -- commands ----------------------------------------------------------------------------------------------------------


def test_readings_at_the_command_line(run, shop, measured, tmp_path):
    day = f"{HOUR:%Y-%m-%d}"
    assert "21" in run("thing", "readings", measured.number, "--from", day, "--event", "temperature")
    assert "(none)" in run("thing", "readings", measured.number, "--to", "2026-01-01T00:00:00+01:00")
    assert re.search(
        rf"{HOUR:%Y-%m-%d %H}:00:00 UTC +temperature +22 +21 +23 +3\n", run("thing", "hours", measured.number)
    )
    assert json.loads(run("thing", "hours", measured.number, "--limit", "1", "--json"))[0]["count"] == 2
    exported = run("thing", "export", measured.number, "--event", "humidity")
    assert exported.splitlines()[1].startswith("humidity,40.0,")
    file = tmp_path / "all.csv"
    assert re.search(r"all.csv: \d+ bytes", run("thing", "export", measured.thing, "--out", str(file)))
    assert len(file.read_text().splitlines()) == 7
    with pytest.raises(ToolError, match="no such thing"):
        run("thing", "export", "0" * 32, "--out", str(tmp_path / "none.csv"))
    assert not (tmp_path / "none.csv").exists()
    owner = json.loads(run("owner", "create", f"Jane {shop.tag}", "--json"))
    token = ("--owner-token", owner["token"])
    run("owner", "claim", measured.number, *token)
    assert "22" in run("owner", "hours", measured.thing, *token)
    assert run("owner", "export", measured.thing, *token).count("\n") == 7
    with pytest.raises(SystemExit):
        run("thing", "readings", measured.number, "--from", "yesterday")
