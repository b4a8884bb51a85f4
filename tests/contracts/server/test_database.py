"""What outlives a restart, and which databases are taken."""

import socket
import sqlite3
import subprocess
import sys
import threading

import httpx
import pytest
from sqlalchemy import text

from thermokeeper.errors import ToolError
from thermokeeper.server import settings
from thermokeeper.server.local import LocalServer, listen
from thermokeeper.server.storage import database
from thermokeeper.server.storage.database import Database


def test_a_restart_on_the_same_folder_and_port_keeps_everything(tmp_path, make_shop):
    server = LocalServer(tmp_path)
    with server, httpx.Client(base_url=server.url) as http:
        shop = make_shop(server, http)
        version = shop.version("1", b"firmware", publish=True)
        device = shop.device()
        device.call("PUT", "/version.json", {"id": version.id})
        device.call("PUT", "/properties/period/value.json", {"value": 30})
        device.post_points([{"value": 21.5, "at": "2026-11-21T20:13:18Z"}])
        owner = shop.owner()
        before = shop.vendor.thing(device.thing)
        first_url = server.url
        shop.vendor.close()
    again = LocalServer(tmp_path, port=server.port)
    with again, httpx.Client(base_url=again.url) as http:
        assert (again.url, again.vendor_token) == (first_url, server.vendor_token)
        shop.vendor, shop.http, device.http = type(shop.vendor)(again.url, again.vendor_token), http, http
        assert shop.vendor.thing(device.thing) == before
        assert device.call("GET", "/version.json").json()["id"] == version.id
        assert device.call("GET", f"/v1/versions/{version.id}/firmware.bin").content == b"firmware"
        assert device.call("GET", "/properties/period/value.json").json()["value"] == 30
        device.post_points([{"value": 21.5, "at": "2026-11-21T20:13:18Z"}])
        assert len(list(shop.vendor.datapoints(device.thing))) == 1, "known from before"
        assert http.get("/v1/owner/things.json", headers={"X-OwnerToken": owner.token}).status_code == 200
        shop.vendor.close()


def test_one_server_object_can_stop_and_start(tmp_path):
    server = LocalServer(tmp_path)
    for _ in range(2):
        with server:
            assert httpx.get(f"{server.url}/healthz").status_code == 200
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{server.url}/healthz")


def test_a_server_that_is_killed_loses_nothing_that_it_answered(tmp_path):
    code = (
        "import sys; from pathlib import Path; from thermokeeper.server.local import LocalServer\n"
        "server = LocalServer(Path(sys.argv[1])); server.start(); print(server.url, server.vendor_token, flush=True)\n"
        "sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code, tmp_path], stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout
        url, token = process.stdout.readline().split()
        for number in range(5):
            answer = httpx.post(
                f"{url}/v1/vendor/templates.json", json={"name": f"T{number}"}, headers={"X-VendorToken": token}
            )
            assert answer.status_code == 201
        process.kill()
    with LocalServer(tmp_path) as server, httpx.Client(base_url=server.url, headers={"X-VendorToken": token}) as http:
        assert len(http.get("/v1/vendor/templates.json").json()) == 5


def test_sqlite_is_in_wal_mode_with_foreign_keys_and_a_busy_timeout(tmp_path):
    opened = Database(None, tmp_path)
    with opened.reading() as session:
        found = [session.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "foreign_keys", "busy_timeout")]
    opened.close()
    assert found == ["wal", 1, 10_000]


def test_a_second_writer_waits_for_the_first(tmp_path):
    opened = Database(None, tmp_path)
    order = []

    def second() -> None:
        with opened.writing() as session:
            session.execute(text("SELECT 1"))
            order.append("second")

    thread = threading.Thread(target=second)
    with opened.writing() as session:
        session.execute(text("UPDATE templates SET name = name"))
        thread.start()
        thread.join(0.2)
        order.append("first")
    thread.join(10)
    opened.close()
    assert order == ["first", "second"]


def _set_schema(folder, version: int) -> None:
    Database(None, folder).close()
    connection = sqlite3.connect(folder / database.DATABASE_FILE)
    connection.execute("UPDATE schema_version SET version = ?", (version,))
    connection.commit()
    connection.close()


def _without_proofs(folder) -> None:
    """As it was before schema 3."""
    connection = sqlite3.connect(folder / database.DATABASE_FILE)
    connection.execute("ALTER TABLE products DROP COLUMN proof_required")
    connection.execute("ALTER TABLE serials DROP COLUMN proof_key")
    connection.commit()
    connection.close()


def test_a_newer_database_is_refused(tmp_path):
    _set_schema(tmp_path, 99)
    with pytest.raises(ToolError, match="schema 99, newer than this Thermokeeper knows"):
        LocalServer(tmp_path).start()


def test_an_older_database_is_refused_when_there_is_no_way_up(tmp_path):
    _set_schema(tmp_path, 0)
    with pytest.raises(ToolError, match="schema 0, too old"):
        Database(None, tmp_path)


def test_an_older_database_is_migrated_step_by_step_and_all_or_nothing(tmp_path, monkeypatch):
    _set_schema(tmp_path, -1)
    _without_proofs(tmp_path)
    add = text("ALTER TABLE owners ADD COLUMN email VARCHAR")
    monkeypatch.setitem(database.MIGRATIONS, -1, lambda connection: connection.execute(add))
    with pytest.raises(ToolError, match="schema 0, too old"):
        Database(None, tmp_path)
    monkeypatch.setitem(
        database.MIGRATIONS, 0, lambda connection: connection.execute(text("UPDATE owners SET email = ''"))
    )
    opened = Database(None, tmp_path)
    with opened.reading() as session:
        assert session.scalar(text("SELECT version FROM schema_version")) == database.SCHEMA_VERSION
        session.execute(text("SELECT email FROM owners"))
    opened.close()


def test_a_database_of_schema_1_is_migrated_in_place_and_keeps_everything(tmp_path, make_shop):
    with LocalServer(tmp_path) as server, httpx.Client(base_url=server.url) as http:
        shop = make_shop(server, http)
        shop.version("1", publish=True)
        device = shop.device()
        before = shop.vendor.thing(device.thing)
        shop.vendor.close()
    connection = sqlite3.connect(tmp_path / database.DATABASE_FILE)
    for table in ("audit", "product_access", "dms_token_uses", "dms_devices", "dms_tokens"):
        connection.execute(f"DROP TABLE {table}")
    connection.execute("UPDATE schema_version SET version = 1")
    connection.commit()
    connection.close()
    _without_proofs(tmp_path)
    for _ in range(2):
        with LocalServer(tmp_path) as server, httpx.Client(base_url=server.url) as http:
            device.http = shop.http = http
            shop.vendor, shop.server = type(shop.vendor)(server.url, server.vendor_token), server
            assert shop.vendor.thing(device.thing).id == before.id
            assert device.call("GET", "/version.json").status_code == 204
            assert shop.active_board().uuid
            assert shop.vendor.serial(device.number).proof_key_id is None
            assert not shop.vendor.products()[0].proof_required
            shop.vendor.close()


def test_another_programs_database_is_refused(tmp_path):
    connection = sqlite3.connect(tmp_path / database.DATABASE_FILE)
    connection.execute("CREATE TABLE something (x)")
    connection.close()
    with pytest.raises(ToolError, match="belongs to another program"):
        Database(None, tmp_path)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "the database URL isn't one"),
        ("mysql://x/y", "not supported"),
        ("sqlite:////no/such/folder/x.db", "can't be opened"),
        ("postgresql://nobody:secret@127.0.0.1:1/none", "can't be opened|driver for this database is missing"),
    ],
)
def test_a_database_that_can_not_be_had_is_one_clear_line(tmp_path, url, message):
    with pytest.raises(ToolError, match=message) as refused:
        Database(url, tmp_path)
    assert "\n" not in str(refused.value) and "secret" not in str(refused.value)


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / database.DATABASE_FILE).write_bytes(b"not a database at all" * 100)
    with pytest.raises(ToolError, match="can't be opened: file is not a database"):
        Database(None, tmp_path)


def test_a_database_that_fails_while_running_is_503(tmp_path, refused):
    with LocalServer(tmp_path) as server, httpx.Client(base_url=server.url) as http:
        connection = sqlite3.connect(tmp_path / database.DATABASE_FILE)
        connection.execute("DROP TABLE serials")
        connection.close()
        response = http.post("/v1/provision/activate.json", json={"serialNumber": "S"})
        refused(response, 503, "unavailable")
        assert response.headers["retry-after"]


def test_the_token_is_made_once_and_only_its_owner_can_read_it(tmp_path):
    token, made = settings.vendor_token(tmp_path / "data")
    assert made and len(token) == 32
    assert (tmp_path / "data" / settings.TOKEN_FILE).stat().st_mode & 0o777 == 0o600
    assert settings.vendor_token(tmp_path / "data") == (token, False)
    assert settings.vendor_token(tmp_path, tmp_path / "data" / settings.TOKEN_FILE) == (token, False)


@pytest.mark.parametrize("content", [b"", b"short", b"with spaces in the token", b"\xff" * 32])
def test_a_token_file_without_a_token_is_refused(tmp_path, content):
    (tmp_path / settings.TOKEN_FILE).write_bytes(content)
    with pytest.raises(ToolError, match="token"):
        LocalServer(tmp_path)


def test_a_port_that_is_taken_is_one_clear_line(tmp_path):
    with LocalServer(tmp_path / "a") as server, pytest.raises(ToolError, match="choose another with --port"):
        LocalServer(tmp_path / "b", port=server.port).start()


def test_answers_are_not_held_back_by_nagles_algorithm():
    """asyncio turns it off only on sockets that name their protocol; with it every answer took 40 ms more."""
    with listen("127.0.0.1", 0) as listening:
        assert listening.proto == socket.IPPROTO_TCP
