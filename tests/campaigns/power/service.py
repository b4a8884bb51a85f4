"""The services that the campaign's boards call: a double that is quick and can be set back, and the real server.

A double is HTTP on a real socket and keeps what docs of the server promise. Here is what it has in common for both
services (one current version, firmware with Range, If-Range and ETag), and the one for GadgetKeeper, where every
activation makes a new key and drops the old one; `dms` has the other. test_power.py lives one uncut life on each double
and on the real server and compares them.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import re
import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

import httpx

from power.workshop import PRODUCT, PRODUCT_OF, SERIAL
from thermokeeper.client.calls import VendorClient
from thermokeeper.server.local import LocalServer
from thermokeeper.server.rules.ratelimit import Rate
from thermokeeper.server.settings import Settings

_LIMIT_S = 20
_BLOCK = 65536


@dataclass
class Known:
    """What a service knows of the campaign's one thing. A key is also the credential that a DMS gives."""

    keys: int = 0  # that it has made
    key: str | None = None
    key_used: bool = False  # by the board
    activations: int = 0  # by the board, or of a DMS: how often it was provisioned
    lost_keys: int = 0  # keys that the board had used, and that an activation of its own has dropped
    name: str = "Thermometer 1"
    target: str | None = None
    current: str | None = None
    failures: list[str] = field(default_factory=list)
    published: dict[str, str] = field(default_factory=dict)  # product: version
    product: str | None = None  # that the board was activated to


class Service(Protocol):
    """What the campaign asks of a service. record: what a board's factory record needs for it."""

    url: str
    record: dict[str, str]

    def publish(self, version: str) -> None: ...
    def known(self) -> Known: ...


class Double:
    """`with GadgetKeeperDouble(releases, digests) as service`; `changes`: how often what it knows has changed."""

    record: dict[str, str] = {}

    def __init__(self, releases: dict[str, bytes], digests: dict[str, str]) -> None:
        self._releases = releases
        self._digests = digests
        self._ids = {version: hashlib.md5(version.encode()).hexdigest() for version in releases}
        self._versions = {version_id: version for version, version_id in self._ids.items()}
        self._thing = hashlib.md5(SERIAL.encode()).hexdigest()
        self._state = Known()
        self.changes = 0
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=16)
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, name="service double", daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    # the vendor's side

    def publish(self, version: str) -> None:
        self._state.target = version
        self.changes += 1

    def known(self) -> Known:
        """A copy of what it knows."""
        return copy.deepcopy(self._state)

    def set_back(self, known: Known) -> None:
        """Make it what it was."""
        self._state = copy.deepcopy(known)

    # the device's side

    def _new_key(self) -> str:
        self.changes += 1
        self._state.keys += 1
        self._state.key = hashlib.md5(f"key {self._state.keys}".encode()).hexdigest()
        return self._state.key

    def _serve(self) -> None:
        while True:
            try:
                board, _ = self._listening.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), board:  # the board may be gone already
                board.settimeout(_LIMIT_S)
                self._exchange(board)

    def _exchange(self, board: socket.socket) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            piece = board.recv(_BLOCK)
            if not piece:
                return
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        while len(body) < int(headers.get("content-length", "0")):
            piece = board.recv(_BLOCK)
            if not piece:
                return
            body += piece
        method, path, _ = first.split(" ")
        status, extra, answer = self._answer(method, path, headers, body)
        reply = [f"HTTP/1.1 {status} said", "Connection: close"]
        if status != 204:
            reply.append(f"Content-Length: {len(answer)}")
        reply += [f"{name}: {value}" for name, value in extra.items()]
        board.sendall("\r\n".join(reply).encode() + b"\r\n\r\n" + answer)

    def _answer(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        raise NotImplementedError

    def _described(self, version: str) -> dict[str, Any]:
        return {"id": self._ids[version], "name": version, "description": "", "release": self._digests[version]}

    def _firmware(self, version_id: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        data = self._releases[self._versions[version_id]]
        etag = f'"{hashlib.sha256(data).hexdigest()}"'
        extra = {"ETag": etag, "Accept-Ranges": "bytes"}
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", headers.get("range", ""))
        if wanted is None or headers.get("if-range", etag) != etag:
            return 200, extra, data
        start = int(wanted[1])
        end = min(int(wanted[2]) + 1 if wanted[2] else len(data), len(data))
        if start >= len(data):
            return self.refusal(416, "range_not_satisfiable")
        return 206, {**extra, "Content-Range": f"bytes {start}-{end - 1}/{len(data)}"}, data[start:end]

    @staticmethod
    def refusal(status: int, code: str) -> tuple[int, dict[str, str], bytes]:
        """An answer that says no."""
        return status, {}, json.dumps({"error": {"code": code, "message": code}}).encode()


class GadgetKeeperDouble(Double):
    """Things by their serial number."""

    def steal(self) -> None:
        """Somebody else activates with the board's serial."""
        self._new_key()
        self._state.key_used = False

    def _answer(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        state = self._state
        content = json.loads(body) if body else None
        if path == "/v1/provision/activate.json":
            if content["serialNumber"] != SERIAL:
                return self.refusal(404, "not_found")
            state.lost_keys += state.key_used
            state.key_used = False
            state.activations += 1
            return _json({"apiKey": self._new_key(), "thingId": self._thing})
        if state.key is None or headers.get("x-apikey") != state.key:
            return self.refusal(401, "unauthorized")
        if not state.key_used:
            state.key_used = True
            self.changes += 1
        if firmware := re.fullmatch(r"/v1/versions/([0-9a-f]+)/firmware\.bin", path):
            return self._firmware(firmware[1], headers)
        thing = re.fullmatch(rf"/v1/things/{self._thing}(.*)\.json", path)
        call = (method, thing[1]) if thing else None
        if call == ("GET", "/target-version"):
            return self._version(state.target)
        if call == ("GET", "/version"):
            return self._version(state.current)
        if method == "PUT":
            self.changes += 1
        if call == ("PUT", "/version"):
            if content["id"] not in self._versions:
                return self.refusal(404, "not_found")
            state.current = self._versions[content["id"]]
            return self._version(state.current)
        if call == ("PUT", ""):
            state.name = content["name"]
            return _json({"id": self._thing, "name": state.name})
        if call == ("PUT", "/properties/updateFailure/value"):
            state.failures.append(content["value"])
            return 204, {}, b""
        if call == ("POST", "/events/temperature/datapoints"):
            return 204, {}, b""
        return self.refusal(404, "not_found")

    def _version(self, version: str | None) -> tuple[int, dict[str, str], bytes]:
        return (204, {}, b"") if version is None else _json(self._described(version))


def _json(content: Any) -> tuple[int, dict[str, str], bytes]:
    return 200, {"Content-Type": "application/json"}, json.dumps(content).encode()


class Real:
    """The real server in a thread, with the campaign's products and releases in it."""

    record: dict[str, str] = {}
    _number: str  # what the vendor knows the board by

    def __init__(self, folder: Path, releases: dict[str, bytes]) -> None:
        token = "a-token-of-the-campaign"
        often = Rate(burst=1e6, every_s=1)
        settings = Settings(folder, token, serial_rate=often, client_rate=often)
        self._server = LocalServer(folder, token=token, settings=settings)
        self._server.start()
        self.url = self._server.url
        self._vendor = VendorClient(self.url, token)
        self._ids = {}
        for product in {PRODUCT_OF[version] for version in releases}:
            self._vendor.create_template(product.capitalize())
            self._vendor.create_product(product, product.capitalize(), product.capitalize())
        for version, data in releases.items():
            made = self._vendor.create_version(PRODUCT_OF[version].capitalize(), version)
            self._vendor.upload_firmware(made.id, data)
            self._ids[version] = made.id

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._vendor.close()
        self._server.stop()

    def publish(self, version: str) -> None:
        self._vendor.publish(self._ids[version], force=True)  # no key of it is known there

    def known(self) -> Known:
        """What the vendor can see."""
        thing = self._vendor.thing(self._number)
        return Known(
            name=thing.name,
            target=thing.target_version.name if thing.target_version else None,
            current=thing.current_version.name if thing.current_version else None,
        )


class GadgetKeeperReal(Real):
    """The real server, and the board as a serial of the vendor's."""

    _number = SERIAL

    def __init__(self, folder: Path, releases: dict[str, bytes]) -> None:
        super().__init__(folder, releases)
        self._vendor.add_serial(PRODUCT, SERIAL)

    def steal(self) -> None:
        """Somebody else activates with the board's serial."""
        httpx.post(f"{self.url}/v1/provision/activate.json", json={"serialNumber": SERIAL}).raise_for_status()
