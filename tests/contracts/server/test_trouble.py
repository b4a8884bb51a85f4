"""Under trouble the server says what it is in one line, loses nothing, and goes on with what it can."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import pytest
from sqlalchemy import Connection, Engine, event
from sqlalchemy.orm import Session

from contracts.server.conftest import DATABASE_URL
from thermokeeper.server.local import LocalServer
from thermokeeper.server.refusals import Busy
from thermokeeper.server.settings import Limits, Settings
from thermokeeper.server.storage import database
from thermokeeper.server.storage.database import Database
from thermokeeper.server.storage.firmware import FirmwareStore
from thermokeeper.server.storage.models import Template, Thing
from thermokeeper.server.storage.sightings import Sightings

POINTS = [
    {"value": 20 + number / 1000, "at": f"2026-11-21T20:{number // 60:02}:{number % 60:02}Z"} for number in range(500)
]


class Disk:
    """Of SQLite: while it is full, a database may have no page more than it has."""

    def __init__(self) -> None:
        self.full = False

    def begin(self, connection: Connection) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {1 if self.full else 1_000_000}")


@pytest.fixture
def disk() -> Iterator[Disk]:
    disk = Disk()
    event.listen(Engine, "begin", disk.begin)
    yield disk
    event.remove(Engine, "begin", disk.begin)


@pytest.mark.skipif(bool(DATABASE_URL), reason="it is SQLite that is full")
def test_a_full_disk_is_507_and_reading_goes_on(tmp_path, make_shop, refused, caplog, disk):
    caplog.set_level(logging.ERROR)
    with LocalServer(tmp_path) as server, httpx.Client(base_url=server.url) as http:
        shop = make_shop(server, http)
        version = shop.version("1", b"firmware", publish=True)
        device = shop.device()
        disk.full = True
        refused(device.post_points(POINTS), 507, "disk_full")
        refused(http.get("/healthz"), 507, "disk_full")
        assert device.call("GET", "/target-version.json").json()["id"] == version.id
        assert device.call("GET", f"/v1/versions/{version.id}/firmware.bin").content == b"firmware"
        assert shop.vendor.thing(device.thing).last_seen
        disk.full = False
        assert device.post_points(POINTS).status_code == 204
        assert http.get("/healthz").json() == {"status": "ok"}
        assert len(list(shop.vendor.datapoints(device.thing))) == len(POINTS)
        shop.vendor.close()
    assert "Traceback" not in caplog.text


def test_an_upload_that_finds_no_room_is_507(shop, refused, monkeypatch):
    made = shop.vendor.create_version(shop.template.id, "1")

    def no_room(_descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", no_room)
    url, headers = f"/v1/vendor/versions/{made.id}/firmware.bin", {"X-VendorToken": shop.server.vendor_token}
    refused(shop.http.put(url, content=b"firmware", headers=headers), 507, "disk_full")
    monkeypatch.undo()
    assert shop.http.put(url, content=b"firmware", headers=headers).status_code == 200
    assert list((shop.server.settings.data_dir / "firmware").glob("*.part")) == []
    assert FirmwareStore(shop.server.settings.data_dir / "firmware", 100)


def test_writers_of_one_process_queue_and_none_loses(tmp_path):
    opened = Database(None, tmp_path)

    def write(number: int) -> None:
        with opened.writing() as session:
            session.add(Template(name=str(number)))

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(write, range(200)))
    with opened.reading() as session:
        assert session.query(Template).count() == 200
    opened.close()


def test_a_queue_that_does_not_move_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "_QUEUE_S", 0.05)
    opened = Database(None, tmp_path)
    with ThreadPoolExecutor(1) as pool, opened.writing():

        def second() -> None:
            with opened.writing():
                pass

        with pytest.raises(Busy):
            pool.submit(second).result()
    with opened.writing() as session:
        session.add(Template(name="the next one"))
    opened.close()


def test_calls_that_find_the_queue_full_are_503_at_once(tmp_path, make_shop, refused, monkeypatch):
    with LocalServer(tmp_path) as server, httpx.Client(base_url=server.url) as http:
        shop = make_shop(server, http)
        device = shop.device()
        shop.vendor.close()
        monkeypatch.setattr(Database, "writing", _busy)
        response = device.post_points([{"value": 21.5}])
        refused(response, 503, "busy")
        assert response.headers["retry-after"]
        assert device.call("GET", "/target-version.json").status_code == 204, "what only reads doesn't wait"
        monkeypatch.undo()


def test_more_calls_than_the_server_can_work_on_are_refused_at_once(tmp_path, make_shop, refused, monkeypatch):
    limits = replace(Settings(tmp_path, ""), limits=Limits(calls_at_once=3))
    with LocalServer(tmp_path, settings=limits) as server, httpx.Client(base_url=server.url) as http:
        shop = make_shop(server, http)
        device = shop.device()
        assert (
            device.call("GET", "/version.json").status_code == 204
        )  # known from now on: each call has a query of its own
        going_on, inside = threading.Event(), threading.Semaphore(0)
        reading = Database.reading

        def held_up(self: Database) -> Session:
            inside.release()
            going_on.wait(30)
            return reading(self)

        monkeypatch.setattr(Database, "reading", held_up)
        url, headers = f"{server.url}/v1/things/{device.thing}/version.json", {"X-ApiKey": device.key}
        with ThreadPoolExecutor(3) as pool:
            held = [pool.submit(httpx.get, url, headers=headers, timeout=60) for _ in range(3)]
            for _ in held:
                assert inside.acquire(timeout=30)
            response = device.call("GET", "/version.json")
            refused(response, 503, "busy")
            assert response.headers["retry-after"] == "2"
            going_on.set()
            assert [answer.result().status_code for answer in held] == [204] * 3
        assert device.call("GET", "/version.json").status_code == 204
        shop.vendor.close()


def test_a_download_that_nobody_reads_on_holds_no_call_up(tmp_path, make_shop):
    limits = replace(Settings(tmp_path, ""), limits=Limits(calls_at_once=1))
    with LocalServer(tmp_path, settings=limits) as server, httpx.Client(base_url=server.url) as http:
        shop = make_shop(server, http)
        version = shop.version("1", bytes(16 << 20), publish=True)  # more than any buffer on the way holds
        device = shop.device()
        url = f"{server.url}/v1/versions/{version.id}/firmware.bin"
        with httpx.stream("GET", url, headers={"X-ApiKey": device.key}) as download:
            assert download.status_code == 200
            assert device.call("GET", "/version.json").status_code == 204
        shop.vendor.close()


def _busy(_database: Database) -> None:
    raise Busy


# -- when devices were last heard of -----------------------------------------------------------------------------------


@pytest.fixture
def kept(tmp_path, make_shop):
    """A database with a thing in it, and the thing's id."""
    with LocalServer(tmp_path) as server, httpx.Client(base_url=server.url) as http:
        shop = make_shop(server, http)
        thing = shop.device().thing
        shop.vendor.close()
    opened = Database(None, tmp_path)
    yield opened, thing
    opened.close()


def test_a_poll_writes_nothing(shop):
    device = shop.device()
    written = []

    def heard(_connection, _cursor, statement: str, *_more) -> None:
        written.append(statement.split(maxsplit=1)[0].upper())

    event.listen(Engine, "before_cursor_execute", heard)
    try:
        for _ in range(20):
            device.call("GET", "/target-version.json")
    finally:
        event.remove(Engine, "before_cursor_execute", heard)
    assert not {"UPDATE", "INSERT"} & set(written)
    assert shop.vendor.thing(device.thing).last_seen is not None


def test_sightings_are_written_and_what_was_not_written_is_kept(kept, monkeypatch):
    opened, thing = kept
    sightings = Sightings(opened)
    with opened.reading() as session:
        before = session.get(Thing, thing).last_seen_at
    sightings.note(thing)
    sightings.note("0" * 32, "a device that is gone")
    with monkeypatch.context() as patch:
        patch.setattr(Database, "writing", _busy)
        sightings.write()
    with opened.reading() as session:
        row = session.get(Thing, thing)
        assert row.last_seen_at == before and sightings.of_thing(row) > before
    sightings.write()
    with opened.reading() as session:
        row = session.get(Thing, thing)
        assert row.last_seen_at > before and sightings.of_thing(row) == row.last_seen_at


def test_a_server_that_stops_writes_its_sightings(tmp_path, make_shop):
    with LocalServer(tmp_path) as server, httpx.Client(base_url=server.url) as http:
        shop = make_shop(server, http)
        device = shop.device()
        device.call("GET", "/target-version.json")
        seen = shop.vendor.thing(device.thing).last_seen
        shop.vendor.close()
    with LocalServer(tmp_path) as server, httpx.Client(base_url=server.url) as http:
        shop = make_shop(server, http)
        assert shop.vendor.thing(device.thing).last_seen == seen
        shop.vendor.close()
