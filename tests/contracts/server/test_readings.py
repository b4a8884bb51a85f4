"""Readings: what is taken, that a lost answer doesn't double them, and what the vendor then sees."""

import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thermokeeper.contract.times import format_time, now, parse_time
from thermokeeper.server.local import LocalServer
from thermokeeper.server.rules.ratelimit import Rate
from thermokeeper.server.settings import Limits, Settings

AT = "2026-11-21T20:13:18.000+0000"


def _points(shop, device, event=None):
    return [(row.event, row.value, format_time(row.at)) for row in shop.vendor.datapoints(device.thing, event)]


def test_points_are_taken_and_shown_last_arrived_first(shop):
    device = shop.device()
    response = device.post_points([{"value": 21.5, "at": AT}, {"value": -3, "at": "2026-11-21T20:13:19.5Z"}])
    assert (response.status_code, response.content) == (204, b"")
    assert _points(shop, device) == [
        ("temperature", -3.0, "2026-11-21T20:13:19.500+0000"),
        ("temperature", 21.5, AT),
    ]


def test_the_same_points_again_are_taken_once(shop):
    device = shop.device()
    points = [
        {"value": 21.5, "at": AT},
        {"value": 22.0, "at": AT},
        {"value": 21.5, "at": AT},
        {"value": -0.0, "at": AT},
    ]
    for body in (points, points, [{"value": 21.5, "at": "2026-11-21T21:13:18+01:00"}, {"value": 0, "at": AT}]):
        assert device.post_points(body).status_code == 204
    assert sorted(value for _, value, _ in _points(shop, device)) == [0.0, 21.5, 22.0]
    assert device.post_points(points, "humidity").status_code == 204
    assert len(_points(shop, device)) == 6, "another event is another point"
    other = shop.device()
    other.post_points(points)
    assert len(_points(shop, other)) == 3, "another thing's, too"


def test_points_without_a_time_are_each_their_own_and_get_the_time_of_arrival(shop):
    device = shop.device()
    before = now()
    for _ in range(2):
        assert device.post_points([{"value": 1}, {"value": 1}, {"value": 1, "at": None}]).status_code == 204
    found = list(shop.vendor.datapoints(device.thing))
    assert len(found) == 6
    assert all(before <= point.at == point.arrived <= now() for point in found)


def test_the_same_points_sent_at_once_are_taken_once(shop):
    device = shop.device()
    points = [{"value": number, "at": AT} for number in range(50)]
    with ThreadPoolExecutor(4) as pool:
        responses = list(pool.map(lambda _: device.post_points(points).status_code, range(4)))
    assert responses == [204] * 4
    assert len(_points(shop, device)) == 50


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        '{"value": 1}',
        "[1]",
        "[{}]",
        '[{"value": null}]',
        '[{"value": "21.5"}]',
        '[{"value": true}]',
        '[{"value": NaN}]',
        '[{"value": Infinity}]',
        '[{"value": 1e999}]',
        '[{"value": 1, "at": 5}]',
        '[{"value": 1, "at": "yesterday"}]',
        '[{"value": 1, "at": "2026-11-21"}]',
        '[{"value": 1, "at": "2026-11-21T20:13:18"}]',
        '[{"value": 1, "at": "2026-02-30T20:13:18Z"}]',
        '[{"value": 1, "at": "0001-01-01T00:00:00+2359"}]',
        '[{"value": 1, "at": "9999-12-31T23:59:59-2359"}]',
        '[{"value": 1, "at": "1969-12-31T23:59:59Z"}]',
        '[{"value": 1}, {"value": 2, "at": ""}]',
        "not json",
    ],
)
def test_points_that_are_none_are_refused_and_none_of_the_call_is_kept(shop, refused, body):
    device = shop.device()
    refused(device.call("POST", "/events/temperature/datapoints.json", content=body), 400, "bad_request")
    assert _points(shop, device) == []


def test_a_refusal_names_the_point(shop, refused):
    message = refused(shop.device().post_points([{"value": 1}, {"value": "x"}]), 400)
    assert message.startswith("body.1.value: ")


def test_no_points_are_no_error(shop):
    assert shop.device().post_points([]).status_code == 204


def test_too_many_points_and_too_long_a_body_are_413(shop, refused):
    device = shop.device()
    limit = shop.server.settings.limits.points_per_call
    assert device.post_points([{"value": number} for number in range(limit)]).status_code == 204
    refused(device.post_points([{"value": 1}] * (limit + 1)), 413, "too_large")
    body = json.dumps([{"value": 1}]) + " " * 70_000
    refused(device.call("POST", "/events/t/datapoints.json", content=body), 413, "too_large")
    assert len(_points(shop, device)) == limit


def test_the_last_reading_is_the_latest_not_the_last_arrived(shop):
    device = shop.device()
    device.post_points([{"value": 2, "at": "2026-01-02T00:00:00Z"}])
    device.post_points([{"value": 1, "at": "2026-01-01T00:00:00Z"}, {"value": 0.5, "at": "2025-01-01T00:00:00Z"}])
    device.post_points([{"value": 50}], "humidity")
    readings = {reading.event: reading for reading in shop.vendor.thing(device.thing).readings}
    assert (readings["temperature"].value, readings["temperature"].count) == (2.0, 3)
    assert format_time(readings["temperature"].at) == "2026-01-02T00:00:00.000+0000"
    assert (readings["humidity"].value, readings["humidity"].count) == (50.0, 1)


def test_datapoints_come_in_pages(shop):
    device = shop.device()
    device.post_points([{"value": number} for number in range(25)])
    device.post_points([{"value": 99}], "other")
    url = f"/v1/vendor/things/{device.thing}/datapoints.json"
    headers = {"X-VendorToken": shop.server.vendor_token}
    query = {"event": "temperature", "limit": "10"}
    seen = []
    for _ in range(3):
        page = shop.http.get(url, params=query, headers=headers).json()
        seen.append([item["value"] for item in page["items"]])
        query["after"] = page["next"]
    assert page["next"] is None
    assert [len(part) for part in seen] == [10, 10, 5]
    assert list(itertools.chain(*seen)) == [float(number) for number in range(24, -1, -1)]
    assert len(list(shop.vendor.datapoints(device.thing, limit=7))) == 7


@given(st.datetimes(datetime(1970, 1, 3), datetime(9999, 12, 30)), st.integers(-1439, 1439), st.sampled_from(["", ":"]))
def test_times_survive_the_wire_whatever_their_zone(moment, offset_minutes, colon):
    moment = moment.replace(tzinfo=UTC, microsecond=moment.microsecond // 1000 * 1000)
    assert parse_time(format_time(moment)) == moment
    local = moment + timedelta(minutes=offset_minutes)
    hours, minutes = divmod(abs(offset_minutes), 60)
    zone = f"{'-' if offset_minutes < 0 else '+'}{hours:02}{colon}{minutes:02}"
    assert parse_time(f"{local:%Y-%m-%dT%H:%M:%S}.{local.microsecond:06}{zone}") == moment


@given(st.text())
def test_any_text_is_a_time_or_a_value_error(text):
    try:
        parse_time(text)
    except ValueError:
        pass


def test_a_reading_of_the_future_is_the_last_one_only_until_the_next(shop):
    device = shop.device()
    device.post_points([{"value": 99.0, "at": "2099-01-01T00:00:00Z"}, {"value": 20.0, "at": "2026-11-21T20:13:18Z"}])
    assert shop.vendor.thing(device.thing).readings[0].value == 99.0
    device.post_points([{"value": 21.5}])
    assert shop.vendor.thing(device.thing).readings[0].value == 21.5
    device.post_points([{"value": 20.5, "at": "2026-11-21T20:14:18Z"}])
    assert shop.vendor.thing(device.thing).readings[0].value == 21.5, "that one was measured before"
    assert shop.vendor.thing(device.thing).readings[0].count == 4


def test_one_thing_can_not_fill_the_tables_of_names(tmp_path, make_shop, refused):
    limits = replace(Settings(tmp_path, ""), limits=Limits(events_of_a_thing=2, properties_of_a_thing=2))
    with LocalServer(tmp_path, settings=limits) as server, httpx.Client(base_url=server.url) as http:
        shop = make_shop(server, http)
        device, other = shop.device(), shop.device()
        for number in range(2):
            assert device.post_points([{"value": 1}], f"event{number}").status_code == 204
            assert device.call("PUT", f"/properties/p{number}/value.json", {"value": 1}).status_code == 204
        refused(device.post_points([{"value": 1}], "event2"), 413, "too_many_names")
        refused(device.call("PUT", "/properties/p2/value.json", {"value": 1}), 413, "too_many_names")
        assert device.post_points([{"value": 2}], "event1").status_code == 204, "what is there goes on"
        assert device.call("PUT", "/properties/p1/value.json", {"value": 2}).status_code == 204
        assert other.post_points([{"value": 1}], "event2").status_code == 204, "and others"
        shop.vendor.close()


def test_one_thing_can_not_fill_the_disk(tmp_path, make_shop, refused):
    rare = replace(Settings(tmp_path, ""), points_rate=Rate(burst=100, every_s=1000))
    with LocalServer(tmp_path, settings=rare) as server, httpx.Client(base_url=server.url) as http:
        shop = make_shop(server, http)
        device, other = shop.device(), shop.device()
        points = [{"value": number} for number in range(60)]
        assert device.post_points(points).status_code == 204
        response = device.post_points(points)
        refused(response, 429, "too_many_points")
        assert 19_000 <= int(response.headers["retry-after"]) <= 20_000
        assert device.post_points(points[:40]).status_code == 204, "as many as are left"
        assert other.post_points(points).status_code == 204
        assert len(list(shop.vendor.datapoints(device.thing))) == 100
        shop.vendor.close()
