"""What outlives a restart, and which databases are taken."""

import contextlib
import socket
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text

from thermokeeper.errors import ToolError
from thermokeeper.server import settings
from thermokeeper.server.local import LocalServer, listen
from thermokeeper.server.secrets import hashed
from thermokeeper.server.storage import database, migrations
from thermokeeper.server.storage.database import Database
from thermokeeper.server.storage.models import Base

THING, KEY, TEMPLATE, VERSION, PRODUCT, ROW = ("0" * 32, *(digit * 32 for digit in "abcde"))


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
        assert len(http.get("/v1/vendor/templates.json").json()["items"]) == 5


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


@pytest.mark.parametrize("existed", [False, True])
def test_only_the_server_s_account_can_read_the_database(tmp_path, existed):
    tmp_path.chmod(0o755)
    if existed:
        (tmp_path / database.DATABASE_FILE).touch(0o644)
    with LocalServer(tmp_path):
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.glob(f"{database.DATABASE_FILE}*")}
    assert len(modes) >= 2 and set(modes.values()) == {0o600}


# -- schemas of other days ---------------------------------------------------------------------------------------------


def _of_schema(folder, number: int) -> Path:
    """A database as a Thermokeeper of schema 1, 2 or 3 left it, with an activated device in it."""
    path = folder / database.DATABASE_FILE
    engine = create_engine(f"sqlite:///{path}")
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, f"{number:04}")
        connection.execute(text("DROP TABLE alembic_version"))
        connection.execute(text("CREATE TABLE schema_version (version INTEGER NOT NULL PRIMARY KEY)"))
        connection.execute(text("INSERT INTO schema_version VALUES (:number)"), {"number": number})
        at = "2026-11-21 20:13:18.000000"
        proof = ", proof_required" if number > 2 else ""
        for line in (
            f"INSERT INTO templates VALUES ('{TEMPLATE}', 'Thermometers', '', '{at}', NULL)",
            "INSERT INTO versions (id, template_id, name, description, prototype, update_by_thing, update_automatic, "
            f"created_at) VALUES ('{VERSION}', '{TEMPLATE}', '1', '', 0, 1, 0, '{at}')",
            "INSERT INTO products (id, code, name, default_template_id, things_named, created_at" + proof + ") "
            f"VALUES ('{PRODUCT}', 'thermometer', 'Thermometer', '{TEMPLATE}', 1, '{at}'"
            + (", 0" if proof else "")
            + ")",
            "INSERT INTO serials (id, number, product_id, blocked, created_at) "
            f"VALUES ('{ROW}', 'OLD1', '{PRODUCT}', 0, '{at}')",
            "INSERT INTO things (id, serial_id, name, key_hash, current_version_id, created_at, activation_count) "
            f"VALUES ('{THING}', '{ROW}', 'Thermometer 1', '{hashed(KEY)}', '{VERSION}', '{at}', 1)",
            "INSERT INTO datapoints (thing_id, event, value, at, arrived_at) "
            f"VALUES ('{THING}', 'temperature', 21.5, '{at}', '{at}')",
        ):
            connection.execute(text(line))
    engine.dispose()
    return path


def _set_revision(folder, revision: str) -> None:
    Database(None, folder).close()
    with contextlib.closing(sqlite3.connect(folder / database.DATABASE_FILE)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))


def test_a_newer_database_is_refused(tmp_path):
    _set_revision(tmp_path, "9999")
    with pytest.raises(ToolError, match="schema 9999, newer than this Thermokeeper knows"):
        LocalServer(tmp_path).start()


@pytest.mark.parametrize("revision", ["0000", "*", "0"])
def test_a_revision_that_never_was_is_refused(tmp_path, revision):
    _set_revision(tmp_path, revision)
    with pytest.raises(ToolError, match="which no Thermokeeper has made"):
        Database(None, tmp_path)


def test_a_schema_that_never_was_is_refused(tmp_path):
    _of_schema(tmp_path, 3)
    with contextlib.closing(sqlite3.connect(tmp_path / database.DATABASE_FILE)) as connection, connection:
        connection.execute("UPDATE schema_version SET version = 0")
    with pytest.raises(ToolError, match="schema 0, which no Thermokeeper has made"):
        Database(None, tmp_path)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_database_of_each_former_schema_is_migrated_in_place_and_keeps_everything(tmp_path, make_shop, number):
    path = _of_schema(tmp_path, number)
    for _ in range(2):
        with LocalServer(tmp_path) as server, httpx.Client(base_url=server.url) as http:
            shop = make_shop(server, http)
            thing = shop.vendor.thing("OLD1")
            assert (thing.id, thing.name, thing.activation_count) == (THING, "Thermometer 1", 1)
            assert [point.value for point in shop.vendor.datapoints(THING)] == [21.5]
            ((hour,),) = [[(row.count, row.mean, f"{row.start:%H:%M:%S}") for row in shop.vendor.hours(THING)]]
            assert hour == (1, 21.5, "20:00:00")
            called = http.get(f"/v1/things/{THING}/version.json", headers={"X-ApiKey": KEY})
            assert called.json()["id"] == VERSION
            assert shop.active_board().uuid and not list(shop.vendor.products())[-1].proof_required
            shop.vendor.close()
    copies = list(tmp_path.glob("*before-migration*"))
    assert [copy.name for copy in copies] == [f"{path.name}.before-migration-{number:04}"]
    assert copies[0].stat().st_mode & 0o777 == 0o600
    with contextlib.closing(sqlite3.connect(copies[0])) as connection:
        assert connection.execute("SELECT version FROM schema_version").fetchall() == [(number,)]
        assert connection.execute("SELECT count(*) FROM datapoints").fetchall() == [(1,)]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_migrated_is_what_a_new_database_has(tmp_path, number):
    _of_schema(tmp_path, number)
    opened = Database(None, tmp_path)
    with opened.engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    opened.close()
    # SQLite can't be given a foreign key later, and a new file hasn't that one either
    assert [change for change in found if change[0] != "add_fk"] == []


def test_a_migration_that_fails_leaves_the_database_as_it_was(tmp_path):
    path = _of_schema(tmp_path, 1)
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE INDEX ix_things_name ON owners (name)")  # in the way of the last step
    with pytest.raises(ToolError, match="can't be opened: index ix_things_name already exists") as refused:
        Database(None, tmp_path)
    assert "\n" not in str(refused.value)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert "dms_devices" not in tables and "alembic_version" not in tables and "schema_version" in tables


def test_without_a_copy_there_is_no_migration(tmp_path):
    path = _of_schema(tmp_path, 3)
    (tmp_path / f"{path.name}.before-migration-0003.part").mkdir()
    with pytest.raises(ToolError, match="no copy of it can be kept"):
        Database(None, tmp_path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT version FROM schema_version").fetchall() == [(3,)]


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
