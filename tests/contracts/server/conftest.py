"""A real server on a free port, and a shop to fill it: everything goes through sockets."""

import itertools
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import httpx
import msgpack
import pytest
from click.testing import CliRunner
from sqlalchemy import create_engine

from thermokeeper import cli
from thermokeeper.client.calls import OwnerClient, VendorClient
from thermokeeper.contract import schemas
from thermokeeper.server.local import LocalServer
from thermokeeper.server.rules.ratelimit import Rate
from thermokeeper.server.settings import Limits, Settings
from thermokeeper.server.storage.database import DATABASE_FILE

# a database URL runs these tests on it in place of SQLite (empty, or left by a run before)
DATABASE_URL = os.environ.get("THERMOKEEPER_TEST_DATABASE")
FAST = Rate(burst=1_000_000, every_s=0.001)
_numbers = itertools.count(1)


class Device:
    """An activated device's side of the wire."""

    def __init__(self, http: httpx.Client, number: str) -> None:
        self.http = http
        self.number = number
        self.key = self.thing = ""

    def activate(self) -> "Device":
        response = self.http.post("/v1/provision/activate.json", json={"serialNumber": self.number})
        assert response.status_code == 200, response.text
        self.key, self.thing = response.json()["apiKey"], response.json()["thingId"]
        return self

    def call(self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None, **options):
        """`path` below the thing (".json", "/version.json"), or from /v1 on."""
        if body is not None:
            options["json"] = body
        url = path if path.startswith("/v1") else f"/v1/things/{self.thing}{path}"
        return self.http.request(method, url, headers={"X-ApiKey": self.key, **(headers or {})}, **options)

    def post_points(self, points: object, event: str = "temperature"):
        return self.call("POST", f"/events/{event}/datapoints.json", points)


class DmsBoard:
    """The device's side of the service that speaks MessagePack; each call is one exchange."""

    def __init__(self, http: httpx.Client, uuid: str | None = None) -> None:
        self.http = http
        self.uuid = uuid or str(uuid4())
        self.credential = ""

    def call(self, method: str, path: str, body: object = None, credential: str | None = None, **options):
        if body is not None:
            options["content"] = msgpack.packb(body)
        headers = {"Content-Type": "application/msgpack", **options.pop("headers", {})}
        if credential is None:
            credential = self.credential
        if credential:
            headers["Authorization"] = f"Bearer {credential}"
        return self.http.request(method, f"/dms/v1{path}", headers=headers, **options)

    def ask(self, token: str, **members: object) -> httpx.Response:
        """One POST /provision, whose answer may then be lost or kept."""
        return self.call("POST", "/provision", {"token": token, "uuid": self.uuid, **members}, credential="")

    def keep(self, response: httpx.Response) -> "DmsBoard":
        assert response.status_code == 200, response.content
        found = msgpack.unpackb(response.content)
        self.uuid, self.credential = found["uuid"], found["credential"]
        return self

    def acknowledge(self, credential: str | None = None) -> httpx.Response:
        return self.call("PUT", "/provision", credential=credential)

    def provision(self, token: str) -> "DmsBoard":
        assert self.keep(self.ask(token)).acknowledge().status_code == 204
        return self

    def activate(self, code: str) -> httpx.Response:
        return self.call("POST", "/activate", {"product_code": code})


class Forcing(VendorClient):
    """What most tests give to devices are a few bytes, which the server finds unusual."""

    def create_version(self, *arguments, force: bool = True, **settings):
        return super().create_version(*arguments, force=force, **settings)

    def change_version(self, version: str, *, force: bool = True, **changes):
        return super().change_version(version, force=force, **changes)

    def publish(self, version: str, force: bool = True):
        return super().publish(version, force)

    def create_product(self, *arguments, force: bool = True, **settings):
        return super().create_product(*arguments, force=force, **settings)

    def add_serial(self, *arguments, force: bool = True, **settings):
        return super().add_serial(*arguments, force=force, **settings)

    def change_serial(self, number: str, *, force: bool = True, **changes):
        return super().change_serial(number, force=force, **changes)


class Shop:
    """A vendor with a template and product of its own, for one test."""

    def __init__(self, server: LocalServer, http: httpx.Client) -> None:
        self.server = server
        self.http = http
        self.vendor = Forcing(server.url, server.vendor_token)
        self.tag = f"t{next(_numbers)}-{os.getpid()}"
        self.template = self.vendor.create_template(f"Template {self.tag}")
        self.product = self.vendor.create_product(self.tag, "Thermometer", self.template.id)

    def version(self, name: str, firmware: bytes | None = b"firmware", publish: bool = False, **settings):
        made = self.vendor.create_version(settings.pop("template", self.template.id), name, **settings)
        if firmware is not None:
            made = self.vendor.upload_firmware(made.id, firmware)
        if publish:
            self.vendor.publish(made.id)
        return made

    def serial(self, **settings) -> str:
        return self.vendor.add_serial(self.tag, f"S{next(_numbers):06d}-{self.tag}", **settings).serial_number

    def device(self, **settings) -> Device:
        return Device(self.http, self.serial(**settings)).activate()

    def board(self, uuid: str | None = None) -> DmsBoard:
        """One that is not provisioned yet."""
        return DmsBoard(self.http, uuid)

    def claimed_board(self, access: bool = True) -> DmsBoard:
        """One that is provisioned, and claimed by an owner, with access to the shop's product or without."""
        board = self.board().provision(self.vendor.create_dms_token().token)
        owner = self.owner()
        if access:
            self.vendor.grant_access(owner.id, self.tag)
        with OwnerClient(self.server.url, owner.token) as client:
            client.claim_device(board.uuid)
        return board

    def active_board(self) -> DmsBoard:
        board = self.claimed_board()
        assert board.activate(self.tag).status_code == 200
        return board

    def owner(self) -> schemas.NewOwner:
        return self.vendor.create_owner(f"Owner {next(_numbers)} {self.tag}")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    settings = Settings(Path(), "", limits=replace(Limits(), serials_per_call=20), serial_rate=FAST, client_rate=FAST)
    folder = tmp_path_factory.mktemp("server")
    with LocalServer(folder, settings=settings, database_url=DATABASE_URL) as running:
        yield running


@pytest.fixture(scope="session")
def http(server: LocalServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=20) as client:
        yield client


@pytest.fixture
def shop(server: LocalServer, http: httpx.Client) -> Iterator[Shop]:
    made = Shop(server, http)
    yield made
    made.vendor.close()


@pytest.fixture
def make_shop():
    """For tests with a server of their own."""
    return Shop


@pytest.fixture
def run(shop: Shop, tmp_path: Path):
    """run("serial", "list", "x") -> its output; a ToolError comes through as itself."""
    token = tmp_path / "token"
    token.write_text(shop.server.vendor_token)
    environment = {"THERMOKEEPER_SERVER": shop.server.url, "THERMOKEEPER_VENDOR_TOKEN_FILE": str(token)}

    def run(*words: str, **options) -> str:
        result = CliRunner().invoke(cli.cli, words, env=environment, **options)
        if result.exception is not None:
            raise result.exception
        return result.output

    return run


@pytest.fixture
def engine(shop):
    if DATABASE_URL:
        pytest.skip("it asks SQLite for its plans")
    engine = create_engine(f"sqlite:///{shop.server.settings.data_dir / DATABASE_FILE}")
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def refused():
    def check(response: httpx.Response, status: int, code: str = "") -> str:
        """The response must be this refusal, in our form and the path's language; its message."""
        assert response.status_code == status, response.content
        if response.url.path.startswith("/dms"):
            assert response.headers["content-type"] == "application/msgpack"
            body = msgpack.unpackb(response.content)
        else:
            assert response.headers["content-type"] == "application/json"
            body = response.json()
        assert set(body) == {"error"} and set(body["error"]) == {"code", "message"}
        assert body["error"]["message"] and "\n" not in body["error"]["message"]
        assert not code or body["error"]["code"] == code
        return body["error"]["message"]

    return check
