"""The same server on PostgreSQL, where that and its driver are installed; a cluster of its own, on loopback.

THERMOKEEPER_TEST_DATABASE=postgresql://... runs all the other tests of this folder on one, too.
"""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, func, select, text, update

from thermokeeper.contract.times import now
from thermokeeper.errors import ToolError
from thermokeeper.server.local import LocalServer, listen
from thermokeeper.server.storage import migrations, retention
from thermokeeper.server.storage.database import Database
from thermokeeper.server.storage.models import Base, Datapoint
from thermokeeper.server.storage.retention import Retention

# Debian keeps each version's programs in a folder of its own
_PATH = os.pathsep.join(
    [os.environ.get("PATH", ""), *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"))[::-1])]
)

needs_postgresql = pytest.mark.skipif(
    not (shutil.which("initdb", path=_PATH) and importlib.util.find_spec("psycopg")),
    reason="PostgreSQL or psycopg is not installed",
)
pytestmark = needs_postgresql


@pytest.fixture(scope="module")
def database_url():
    with tempfile.TemporaryDirectory(prefix="cluster-") as folder:
        yield from _cluster(Path(folder))


def _cluster(folder: Path):
    account = "nobody" if os.geteuid() == 0 else None  # it refuses to run as root
    if account:
        os.chown(folder, pwd.getpwnam(account).pw_uid, -1)

    def run(program: str, *arguments: str | Path) -> None:
        whole = (shutil.which(program, path=_PATH) or program, *arguments)
        # its output goes to no pipe: the server would keep that open
        with (folder / "commands.log").open("a") as log:
            subprocess.run(whole, user=account, cwd=folder, stdout=log, stderr=log, check=True)

    listening = listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    listening.close()
    run("initdb", "-D", folder / "data", "-A", "trust", "-U", "keeper", "--no-sync")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    run("pg_ctl", "-D", folder / "data", "-o", options, "-l", folder / "server.log", "-w", "start")
    yield f"postgresql://keeper@127.0.0.1:{port}/postgres"
    run("pg_ctl", "-D", folder / "data", "-m", "immediate", "-w", "stop")


def test_a_devices_life_on_postgresql(database_url, tmp_path, make_shop):
    with LocalServer(tmp_path, database_url=database_url) as server, httpx.Client(base_url=server.url) as http:
        shop = make_shop(server, http)
        version = shop.version("1", b"firmware", publish=True)
        number = shop.serial()
        start = threading.Barrier(4)

        def activate(_index: int) -> dict[str, str]:
            with httpx.Client(base_url=server.url, timeout=30) as client:
                start.wait(10)
                return client.post("/v1/provision/activate.json", json={"serialNumber": number}).json()

        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(activate, range(4)))
        assert len({answer["thingId"] for answer in answers}) == 1
        path = f"/v1/things/{answers[0]['thingId']}/version.json"
        statuses = [http.get(path, headers={"X-ApiKey": answer["apiKey"]}).status_code for answer in answers]
        assert sorted(statuses) == [204, 401, 401, 401]

        device = shop.device()
        points = [{"value": 21.5, "at": "2026-11-21T20:13:18.123+0000"}]
        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(lambda _: device.post_points(points).status_code, range(8))) == {204}
        assert device.call("PUT", "/version.json", {"id": version.id}).status_code == 200
        before = shop.vendor.thing(device.thing)
        assert [(row.value, row.count) for row in before.readings] == [(21.5, 1)]
        shop.vendor.close()
    with LocalServer(tmp_path, database_url=database_url) as server, httpx.Client(base_url=server.url) as http:
        vendor = type(shop.vendor)(server.url, server.vendor_token)
        assert vendor.thing(device.thing) == before
        vendor.close()


def test_devices_that_provision_themselves_on_postgresql(database_url, tmp_path, make_shop):
    with LocalServer(tmp_path, database_url=database_url) as server, httpx.Client(base_url=server.url) as http:
        shop = make_shop(server, http)
        token = shop.vendor.create_dms_token(uses=3)
        same = shop.vendor.create_dms_token()
        uuid = shop.board().uuid
        start = threading.Barrier(8)

        def ask(index: int) -> int:
            with httpx.Client(base_url=server.url, timeout=30) as client:
                board = shop.board(uuid if index < 3 else None)
                board.http = client
                start.wait(10)
                return board.ask((same if index < 3 else token).token).status_code

        with ThreadPoolExecutor(8) as pool:
            statuses = list(pool.map(ask, range(8)))
        # where two make the same device at once, one is told to try again
        assert set(statuses[:3]) <= {200, 503} and 200 in statuses[:3]
        assert sorted(statuses[3:]) == [200, 200, 200, 409, 409]
        assert [found.taken for found in shop.vendor.dms_tokens()] == [3, 1]
        board = shop.active_board()
        again = shop.board(board.uuid).provision(shop.vendor.create_dms_token(uuid=board.uuid).token)
        assert (board.acknowledge().status_code, again.acknowledge().status_code) == (401, 204)
        assert again.call("POST", "/events/temperature", [{"value": 1.5}]).status_code == 204
        assert next(line.what for line in shop.vendor.audit(board.uuid)) == "device.acknowledged"
        shop.vendor.close()


# in one hour, across a zone; and one of a clock that wasn't set
_POINTS = [
    (21, "2026-11-21 19:00:00+00"),
    (23, "2026-11-21 20:59:59.999+01"),
    ("1.7e308", "2026-11-21 19:30:00+00"),
    (5, "1970-01-01 00:00:00+00"),
]


def test_migrated_on_postgresql_is_what_a_new_database_has(database_url, tmp_path):
    """From schema 1, as it was before Alembic, with a row in it."""
    engine = create_engine(database_url.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE former"))
    engine.dispose()
    url = database_url.rpartition("/")[0] + "/former"
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(text("DROP TABLE alembic_version"))
        connection.execute(text("CREATE TABLE schema_version (version INTEGER NOT NULL PRIMARY KEY)"))
        connection.execute(text("INSERT INTO schema_version VALUES (1)"))
        for line in (
            "INSERT INTO owners VALUES ('o', 'somebody', 'h', now())",
            "INSERT INTO templates VALUES ('t', 'T', '', now())",
            "INSERT INTO products VALUES ('p', 'p', 'P', 't', 0, now())",
            "INSERT INTO serials VALUES ('s', 'S', 'p', NULL, NULL, false, now())",
            "INSERT INTO things VALUES ('i', 's', NULL, 'T 1', NULL, NULL, NULL, now(), NULL, NULL, 1)",
            *(
                f"INSERT INTO datapoints VALUES ({number}, 'i', 't', {value}, '{at}', NULL, '2026-11-21 20:00:00+00')"
                for number, (value, at) in enumerate(_POINTS)
            ),
        ):
            connection.execute(text(line))
    Database(url, tmp_path).close()
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
        assert connection.scalar(text("SELECT name FROM owners")) == "somebody"
        hours = connection.execute(text("SELECT count, sum, least, most, start FROM reading_hours")).fetchall()
        assert [tuple(row[:4]) for row in hours] == [(3, 44, 21, 1.7e308)]
        assert hours[0][4].astimezone(UTC) == datetime(2026, 11, 21, 19, tzinfo=UTC)
    engine.dispose()


def test_a_postgresql_database_that_is_not_there_is_one_clear_line(database_url, tmp_path):
    with pytest.raises(ToolError, match="can't be opened") as refused:
        Database(database_url.rpartition("/")[0] + "/none", tmp_path)
    assert "\n" not in str(refused.value)


def test_one_process_at_a_time_removes_old_datapoints(database_url, tmp_path, make_shop):
    with LocalServer(tmp_path, database_url=database_url) as server, httpx.Client(base_url=server.url) as http:
        shop = make_shop(server, http)
        device = shop.device()
        device.post_points([{"value": value} for value in range(20)])
        assert [row.count for row in shop.vendor.hours(device.thing)] == [20]
        database = server.context.database
        with database.writing() as session:
            session.execute(update(Datapoint).values(arrived_at=now() - timedelta(days=6)))
        removing = Retention(database, 5, rows=10)
        with database.writing() as session:  # as another process that does it
            assert session.scalar(select(func.pg_try_advisory_xact_lock(retention._LOCK)))
            assert removing.sweep() == 0
        assert removing.sweep() >= 20
        assert list(shop.vendor.datapoints(device.thing)) == []
        assert [row.count for row in shop.vendor.hours(device.thing)] == [20]
        shop.vendor.close()
