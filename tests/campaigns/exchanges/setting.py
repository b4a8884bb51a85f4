"""What all lives of one run share: releases and a board's first flash, made once, and a server with its vendor.

1.0.0  what the board is made with
2.0.0  another application image and a display that says so: all of it is downloaded
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import images
from door import Door
from power.workshop import shortened
from thermokeeper.client.calls import OwnerClient, VendorClient
from thermokeeper.demo.workshop import PRODUCT, Workshop
from thermokeeper.files import PROJECT
from thermokeeper.release import builder
from thermokeeper.server.local import LocalServer
from thermokeeper.server.rules.ratelimit import Rate
from thermokeeper.server.settings import Settings

VERSIONS = ("1.0.0", "2.0.0")
# A change of the device's code: (file in lib/, text that stands in it once, text instead) each.
Change = tuple[tuple[str, str, str], ...]
_APP_BYTES = 20_000
_OFTEN = Rate(burst=1e6, every_s=1)
_TOKEN = "a-token-of-the-network-tests"


class Goods:
    """The files in a folder that `make` has filled; `source`: releases for CPython."""

    def __init__(self, folder: Path, source: bool) -> None:
        self.folder = folder = folder / ("source" if source else "compiled")
        self.source = source
        self.releases = {version: folder / f"thermometer-{version}.tkr" for version in VERSIONS}
        self.flash = (folder / "flash.bin").read_bytes()
        parsed = {version: builder.read_release(path) for version, path in self.releases.items()}
        self.slots = {version: release.slot() for version, release in parsed.items()}
        self.digests = {version: release.manifest.digest for version, release in parsed.items()}

    @staticmethod
    def make(folder: Path, change: Change = (), compiled: bool = True) -> None:
        """Make everything, with a change of lib/ in both releases; for both runtimes, or for CPython only."""
        keys = folder / "keys"  # may be there already
        for name in ("source", "compiled") if compiled else ("source",):
            shop = folder / name
            shop.mkdir(parents=True)
            for key in keys.glob("signing-key*"):
                shutil.copy(key, shop)
            overlays = {version: _overlay(shop / f"overlay-{version}", version, change) for version in VERSIONS}
            firmware = {version: shop / f"firmware-{version}.bin" for version in VERSIONS}
            for version, fill in zip(VERSIONS, (0x5A, 0x33), strict=True):
                firmware[version].write_bytes(images.whole_firmware(images.application(_APP_BYTES, fill=fill)))
            workshop = Workshop(shop, firmware["1.0.0"], source=name == "source")
            first, _ = (workshop.release(version, overlays[version], firmware[version]) for version in VERSIONS)
            workshop.image(first, "THERM0", "http://127.0.0.1").rename(shop / "flash.bin")
            keys.mkdir(exist_ok=True)
            for key in shop.glob("signing-key*"):
                shutil.copy(key, keys)


def _overlay(folder: Path, version: str, change: Change) -> Path:
    """lib/ without what only people read, so that a download is short; 2.0.0 says what it is with each reading."""
    if version != VERSIONS[0]:
        change = (*change, ("thermometer/measuring/display.py", '"%.2f C"', f'"%.2f C, as {version}"'))
    for path in sorted((PROJECT / "lib").rglob("*.py")):
        name = path.relative_to(PROJECT / "lib")
        text = path.read_text(encoding="utf-8")
        for changed, old, new in change:
            if changed == name.as_posix():
                assert text.count(old) == 1, f"lib/{changed} has {old!r} {text.count(old)} times, expected is once"
                text = text.replace(old, new)
        copy = folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(shortened(text), encoding="utf-8")
    return folder


class Service:
    """A server on its own SQLite file. Lives share its templates; what is published is published for one serial."""

    def __init__(self, folder: Path) -> None:
        settings = Settings(folder, _TOKEN, serial_rate=_OFTEN, client_rate=_OFTEN)
        self._server = LocalServer(folder, token=_TOKEN, settings=settings)
        self._server.start()
        self.url = self._server.url
        self.vendor = VendorClient(self.url, _TOKEN)
        self.vendor.create_template("none")
        self.vendor.create_product(PRODUCT, "Thermometer", "none")
        self._templates: dict[Goods, tuple[str, dict[str, str]]] = {}  # ids of template and versions
        self._rows = sqlite3.connect(folder / "thermokeeper.db", check_same_thread=False, isolation_level=None)

    def close(self) -> None:
        self._rows.close()
        self.vendor.close()
        self._server.stop()

    def restart(self) -> None:
        """Stop it and start it again, on the same port."""
        self.vendor.close()
        self._server.stop()
        self._server.start()
        self.vendor = VendorClient(self.url, _TOKEN)

    def register(self, serial: str, goods: Goods) -> dict[str, str]:
        """A new serial, for which 1.0.0 is published; the ids of both versions."""
        if goods not in self._templates:
            template = self.vendor.create_template(f"template {len(self._templates) + 1}")
            ids = {version: self.vendor.create_version(template.id, version).id for version in VERSIONS}
            for version, path in goods.releases.items():
                self.vendor.upload_firmware(ids[version], path)
            self._templates[goods] = (template.id, ids)
        template_id, ids = self._templates[goods]
        self.vendor.add_serial(PRODUCT, serial, template_id, ids["1.0.0"], force=True)  # no key of it is known there
        return ids

    def publish(self, serial: str, version_id: str) -> None:
        """Let this serial have another version."""
        self.vendor.change_serial(serial, target_version=version_id, force=True)

    def claimed(self, uuid: str) -> str:
        """Let a device have an owner with access to the product; a token for it."""
        token = self.vendor.create_dms_token(uuid=uuid).token
        owner = self.vendor.create_owner(f"Owner of {uuid}")  # of one's own things no two have the same name
        self.vendor.grant_access(owner.id, PRODUCT)
        with OwnerClient(self.url, owner.token) as client:
            client.claim_device(uuid)
        return token

    # What the server has kept, straight from its file: asked after each reading of a life, so it has to be quick.

    def thing(self, serial: str) -> tuple[str, str, str | None, int] | None:
        """(id, name, version it runs, activations) or None."""
        query = (
            "SELECT things.id, things.name, versions.name, things.activation_count FROM things"
            " JOIN serials ON serials.id = things.serial_id"
            " LEFT JOIN versions ON versions.id = things.current_version_id WHERE serials.number = ?"
        )
        found: tuple[str, str, str | None, int] | None = self._rows.execute(query, (serial,)).fetchone()
        return found

    def uses_of_token(self, uuid: str) -> tuple[int, int]:
        """How often the token for a device was taken, and how often acknowledged."""
        query = (
            "SELECT dms_tokens.taken, count(dms_token_uses.acknowledged_at) FROM dms_tokens"
            " LEFT JOIN dms_token_uses ON dms_token_uses.token_id = dms_tokens.id WHERE dms_tokens.uuid = ?"
        )
        found: tuple[int, int] = self._rows.execute(query, (uuid,)).fetchone()
        return found

    def readings(self, serial: str) -> list[float]:
        """The values of all readings, in the order in which they came."""
        query = (
            "SELECT value FROM datapoints JOIN things ON things.id = datapoints.thing_id"
            " JOIN serials ON serials.id = things.serial_id WHERE serials.number = ? ORDER BY datapoints.id"
        )
        return [row[0] for row in self._rows.execute(query, (serial,))]


class Elsewhere:
    """Another server, to which the board is led: it notes what it gets, and answers so that it is asked again."""

    def __init__(self) -> None:
        self._door = Door()
        self.url = self._door.url
        self.heard: list[bytes] = []
        threading.Thread(target=self._serve, name="elsewhere", daemon=True).start()

    def close(self) -> None:
        self._door.shut()

    def _serve(self) -> None:
        body = b'{"id": "%s", "name": "3.0.0", "description": "from elsewhere"}' % (b"e" * 32)
        answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        while board := self._door.accept():
            with contextlib.suppress(OSError), board:
                board.settimeout(5)
                data = b""
                while b"\r\n\r\n" not in data and (piece := board.recv(65536)):
                    data += piece
                self.heard.append(data)
                board.sendall(answer)


@contextlib.contextmanager
def service(folder: Path) -> Iterator[Service]:
    """A server for as long as it is needed."""
    found = Service(folder)
    try:
        yield found
    finally:
        found.close()
