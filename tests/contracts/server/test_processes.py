"""Several processes as one service: whichever answers, a change is seen, a limit holds, a nonce opens once."""

from __future__ import annotations

import hashlib
import hmac
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from contracts.server.queries import watched
from contracts.server.test_postgresql import database_url, needs_postgresql  # noqa: F401  # the fixture
from serving import free_port, serving
from thermokeeper.client.calls import VendorClient
from thermokeeper.errors import ToolError
from thermokeeper.server.local import LocalServer
from thermokeeper.server.rules import shared_tries
from thermokeeper.server.rules.ratelimit import Rate
from thermokeeper.server.rules.shared_tries import SharedLimiter
from thermokeeper.server.storage import announcements
from thermokeeper.server.storage.announcements import Announcements
from thermokeeper.server.storage.database import Database, alone

KEY = bytes(range(32))


@contextmanager
def run(data: Path, *options: str, workers: int = 2) -> Iterator[str]:
    """`server run`, in so many processes; its address."""
    port = free_port()
    command = [sys.executable, "-m", "thermokeeper", "server", "run", "--data", data, "--port", str(port), "--quiet"]
    log = data.with_suffix(".log")
    url = f"http://127.0.0.1:{port}"
    with serving([*command, "--workers", str(workers), *options], f"{url}/healthz", log):
        yield url
    assert "Traceback" not in log.read_text()


class Board:
    """A device each of whose calls has a connection of its own, and so another process perhaps."""

    def __init__(self, url: str, number: str) -> None:
        self.url = url
        self.number = number
        self.key = self.thing = ""

    def activate(self, **proof: str) -> httpx.Response:
        response = httpx.post(f"{self.url}/v1/provision/activate.json", json={"serialNumber": self.number, **proof})
        if response.status_code == 200:
            self.key, self.thing = response.json()["apiKey"], response.json()["thingId"]
        return response

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}/v1{path}", headers={"X-ApiKey": self.key})

    def target(self) -> httpx.Response:
        return self.get(f"/things/{self.thing}/target-version.json")

    def nonce(self) -> str:
        body = {"serialNumber": self.number}
        return str(httpx.post(f"{self.url}/v1/provision/challenge.json", json=body).json()["nonce"])


def live(vendor: VendorClient, boards: list[Board], tag: str) -> None:
    """What goes on between a vendor and a board, which calls at these addresses in turn."""
    times = 8
    template = vendor.create_template(f"Template {tag}")
    vendor.create_product(tag, "Thermometer", template.id)
    number = f"S1-{tag}"
    vendor.add_serial(tag, number, proof_key=KEY.hex())
    for board in boards:
        board.number = number

    first, second = boards[0], boards[-1]
    for _ in range(4):  # a nonce of one is good at the other, once
        nonce = first.nonce()
        answer = hmac.digest(KEY, f"activate\n{nonce}\n{number}".encode(), "sha256").hex()
        assert second.activate(nonce=nonce, proof=answer).status_code == 200
        assert first.activate(nonce=nonce, proof=answer).status_code == 403
        first.key, first.thing = second.key, second.thing
        assert [board.target().status_code for board in boards * 2] == [204] * 2 * len(boards)
    former = first.key
    nonce = first.nonce()
    answer = hmac.digest(KEY, f"activate\n{nonce}\n{number}".encode(), "sha256").hex()
    assert first.activate(nonce=nonce, proof=answer).status_code == 200
    second.key = former
    assert second.target().status_code == 401, "the former key is dropped at once"
    second.key = first.key

    for step in range(times):
        firmware = hashlib.sha512(f"{tag} {step}".encode()).digest() * 20_000
        version = vendor.create_version(template.id, f"{step}")
        vendor.upload_firmware(version.id, firmware)
        vendor.publish(version.id, force=True)
        for board in boards * 2:
            assert board.target().json()["name"] == f"{step}"
        for board in boards:
            assert board.get(f"/versions/{version.id}/firmware.bin").content == firmware
    tries = [first.activate(nonce="0" * 32, proof="0" * 64).status_code for _ in range(12)]
    assert tries[-1] == 429, "counted together"
    vendor.block(number)
    assert [board.target().status_code for board in boards * 2] == [403] * 2 * len(boards)


def test_two_processes_on_sqlite(tmp_path):
    data = tmp_path / "data"
    with run(data) as url, VendorClient(url, (data / "vendor-token").read_text().strip()) as vendor:
        live(vendor, [Board(url, ""), Board(url, "")], "sqlite")


@needs_postgresql
def test_two_machines_of_two_processes_on_postgresql(tmp_path, database_url):  # noqa: F811
    """Each with a folder of its own."""
    one, other = tmp_path / "one", tmp_path / "other"
    with run(one, "--database", database_url) as url, run(other, "--database", database_url) as second:
        vendor = VendorClient(url, (one / "vendor-token").read_text().strip())
        live(vendor, [Board(url, ""), Board(second, "")], "postgresql")
        vendor.close()
    files = {path.name for path in (other / "firmware").glob("*.bin")}
    assert len(files) == 8, "fetched, and kept on this machine's disk"


@needs_postgresql
def test_firmware_of_before_is_given_to_the_database_and_deleted_with_its_version(tmp_path, database_url, make_shop):  # noqa: F811
    with LocalServer(tmp_path / "one", database_url=database_url) as server, httpx.Client(base_url=server.url) as http:
        shop = make_shop(server, http)
        kept, deleted = shop.version("1", b"kept" * 100_000, publish=True), shop.version("2", b"kept" * 100_000 + b"!")
        device = shop.device()
        opened = Database(database_url, tmp_path)
        with opened.engine.begin() as connection:  # as a server left it that kept it in its folder only
            connection.exec_driver_sql("DELETE FROM firmware_parts")
            connection.exec_driver_sql("DELETE FROM firmware_pieces")
        server.stop()
        server.start()
        shop.vendor.delete_version(deleted.id)
        with opened.engine.begin() as connection:
            rows = connection.exec_driver_sql("SELECT sum(length(data)) FROM firmware_pieces").scalar()
        assert rows == 256 * 1024 + (400_000 - 256 * 1024)
        opened.close()
        with LocalServer(tmp_path / "other", database_url=database_url) as second:
            url = f"{second.url}/v1/versions/{kept.id}/firmware.bin"
            assert httpx.get(url, headers={"X-ApiKey": device.key}).content == b"kept" * 100_000
        shop.vendor.close()


@needs_postgresql
def test_firmware_that_was_damaged_in_the_database_is_given_to_nobody(tmp_path, database_url, make_shop, caplog):  # noqa: F811
    with LocalServer(tmp_path / "one", database_url=database_url) as server, httpx.Client(base_url=server.url) as http:
        shop = make_shop(server, http)
        version = shop.version("1", b"of the vendor" * 10, publish=True)
        device = shop.device()
        with server.context.database.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE firmware_pieces SET data = 'of the other!'")
        with LocalServer(tmp_path / "other", database_url=database_url) as second:
            url = f"{second.url}/v1/versions/{version.id}/firmware.bin"
            answer = httpx.get(url, headers={"X-ApiKey": device.key})
        assert answer.status_code >= 500 and b"of the other" not in answer.content
        assert "another than was uploaded" in caplog.text
        shop.vendor.close()


def _torn(_announcements: Announcements) -> None:
    raise OSError("no connection to listen on")


@needs_postgresql
def test_a_server_that_does_not_hear_the_others_keeps_nothing(tmp_path, database_url, make_shop, monkeypatch):  # noqa: F811
    assert Database(database_url, tmp_path).changes.deaf, "before it listens"
    with LocalServer(tmp_path / "one", database_url=database_url) as server, httpx.Client(base_url=server.url) as http:
        shop = make_shop(server, http)
        version = shop.version("1", b"firmware", publish=True)
        device = shop.device()
        monkeypatch.setattr(Announcements, "_listen", _torn)
        with LocalServer(tmp_path / "deaf", database_url=database_url) as deaf:
            board = Board(deaf.url, device.number)
            board.key, board.thing = device.key, device.thing
            assert board.target().json()["id"] == version.id
            second = shop.version("2", b"firmware 2", publish=True)
            assert board.target().json()["id"] == second.id, "though nobody told it"
        shop.vendor.close()


@needs_postgresql
def test_a_server_that_hears_the_others_no_more_drops_what_it_kept(
    tmp_path,
    database_url,  # noqa: F811
    make_shop,
    monkeypatch,
    caplog,
):
    """Its connection ends while it listens, and doesn't come back."""

    def wait_for(what: Callable[[], bool]) -> None:
        until_s = time.monotonic() + 30
        while not what():
            assert time.monotonic() < until_s
            time.sleep(0.02)

    monkeypatch.setattr(announcements, "_LOOK_EVERY_S", 1e6)  # LISTEN stays what that connection said last
    with (
        LocalServer(tmp_path / "one", database_url=database_url) as server,
        LocalServer(tmp_path / "other", database_url=database_url) as other,
        httpx.Client(base_url=server.url) as http,
    ):
        databases = server.context.database, other.context.database
        wait_for(lambda: not any(database.changes.deaf for database in databases))
        shop = make_shop(server, http)
        version = shop.version("1", b"firmware", publish=True)
        device = shop.device()
        board = Board(other.url, device.number)
        board.key, board.thing = device.key, device.thing
        board.target()
        with watched() as queries:
            assert board.target().json()["id"] == version.id
        assert not [query for query in queries.seen if "key_hash" in query.partition("WHERE")[2]], "it is kept"
        monkeypatch.setattr(Announcements, "_listen", _torn)
        with databases[0].engine.begin() as connection:
            listening = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN %%'"
            assert len(connection.exec_driver_sql(listening).all()) >= 2
        wait_for(lambda: caplog.text.count("other servers' changes aren't heard") == 2)
        second = shop.version("2", b"firmware 2", publish=True)
        assert board.target().json()["id"] == second.id, "though nobody told it"
        shop.vendor.close()


def test_a_second_server_on_one_sqlite_file_is_refused(tmp_path):
    with LocalServer(tmp_path) as server:
        with pytest.raises(ToolError, match="another server runs on"):
            LocalServer(tmp_path).start()
        assert httpx.get(f"{server.url}/healthz").status_code == 200
    with LocalServer(tmp_path):
        pass


def test_a_lock_that_was_left_behind_locks_nobody_out(tmp_path):
    (tmp_path / "thermokeeper.db.lock").touch()
    with alone(None, tmp_path):
        pass


@pytest.fixture(params=["sqlite", "postgresql"])
def limiters(request, tmp_path):
    """Two servers' limiters of the same tries: three at once, then one in 1000 s."""
    url = None
    if request.param == "postgresql":
        if needs_postgresql.args[0]:
            pytest.skip("PostgreSQL or psycopg is not installed")
        url = request.getfixturevalue("database_url")
    databases = [Database(url, tmp_path) for _ in range(2)]
    number = int(time.time()) % 1000  # the cluster's other tests have theirs
    yield [SharedLimiter(database, KEY, number, Rate(3, 1000, success_cost=0.5)) for database in databases]
    for database in databases:
        database.close()


def test_tries_are_counted_together(limiters):
    one, other = limiters
    assert [limiter.take("S1") for limiter in (one, other, one)] == [0, 0, 0]
    assert 990 <= other.take("S1") <= 1000
    assert one.take("S2") == 0
    one.succeeded("S1")
    one.succeeded("S1")
    assert other.take("S1") == 0
    assert one.take("S1") > 0


def test_tries_come_back_with_time(limiters, monkeypatch):
    one, other = limiters
    passed_s = 0.0
    now_s = shared_tries._now_s
    monkeypatch.setattr(shared_tries, "_now_s", lambda connection: now_s(connection) + passed_s)
    assert [one.take("S4") > 0 for _ in range(4)] == [False, False, False, True]
    passed_s = 1001.0
    assert [other.take("S4") > 0 for _ in range(2)] == [False, True]
    passed_s = 10_000.0
    assert [one.take("S4") > 0 for _ in range(4)] == [False, False, False, True], "never more than at first"


def test_tries_of_what_is_rolled_back_are_not_counted(limiters, tmp_path):
    one, other = limiters
    for _ in range(5):
        with pytest.raises(ZeroDivisionError), one._database.writing() as session:
            assert one.take("S3", cost=3, session=session) == 0
            raise ZeroDivisionError
    assert other.take("S3", cost=3) == 0


def test_metrics_of_all_processes_are_added_up(tmp_path):
    data = tmp_path / "data"
    with run(data, "--metrics-port", "0") as url:
        metrics = re.search(r"metrics for Prometheus at (\S+)", data.with_suffix(".log").read_text())
        assert metrics
        for _ in range(20):  # each has a connection of its own
            httpx.get(f"{url}/such/a/path")
        text = httpx.get(metrics[1]).text
    assert 'thermokeeper_calls_total{method="GET",route="none",status="4xx"} 20.0' in text
