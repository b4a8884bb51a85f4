"""Whole lives of a board in a few words: a vendor with releases, a server, a front before it, and the board itself.

    def test_an_update(life):
        life.boots()
        life.says("confirm")
        life.publish("2.0.0")
        life.says("slot", "2.0.0, on trial")

Lives are lived in virtual time, on MicroPython at a quick pace, on CPython at the product's own, and only while the
test follows them: between two calls of `says` the board stands still.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
import shutil
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest

import images
from lives.front import Front
from release_support import write_test_key
from thermokeeper.client.calls import VendorClient
from thermokeeper.contract import schemas
from thermokeeper.demo.workshop import PRODUCT, Workshop
from thermokeeper.files import PROJECT
from thermokeeper.formats import factory_record
from thermokeeper.formats.partitions import table_for
from thermokeeper.release import budget
from thermokeeper.release.stock import stock_firmware
from thermokeeper.server.local import LocalServer
from thermokeeper.server.rules.ratelimit import Rate
from thermokeeper.server.settings import Settings
from thermokeeper.server.storage.models import Version
from thermokeeper.simulator import nvs
from thermokeeper.simulator.board import Board, Event
from thermokeeper.simulator.describe import open_flash
from thermokeeper.simulator.world import World

SERIAL = "THERM00000000000001"
TEMPLATE = "Thermometer"
TABLE = table_for("4MiB")
SIZE = 30_000  # of the smallest application image
REAL, REAL_TOO = 0, 1  # in place of a size: the real images that the tests have
LIMIT_S = 60  # of the host's time, for one thing to happen
_LINE = re.compile(r"tk: (\w+): (.*)")
_OFTEN = Rate(burst=1e6, every_s=1)

# A change of lib/ for one release: (file, text in it, what stands there instead).
Change = tuple[tuple[str, str, str], ...]

# Releases that fail in one way or another.
CRASHES: Change = (("thermometer/app.py", "def run():\n", "def run():\n    raise ValueError('broken on purpose')\n"),)
EXITS: Change = (("thermometer/app.py", "import gc\n", "import gc\nimport sys\n\nsys.exit()\n"),)
HANGS_AT_IMPORT: Change = (
    ("thermometer/app.py", "import gc\n", "import gc\nimport time\n\nwhile True:\n    time.sleep_ms(100)\n"),
)
_READY = "def ready(self, now_ms):\n"
_READ = "def read(self):\n"
HANGS: Change = (
    ("thermometer/measuring/sensor.py", _READY, _READY + "        while True:\n            time.sleep_ms(100)\n"),
)
SEES_NO_SENSOR: Change = (
    ("thermometer/measuring/sensor.py", _READ, _READ + "        raise SensorError('broken on purpose')\n"),
)
CALLS_NO_SERVER: Change = (("keeper/services/gadgetkeeper/wire.py", '+ "/v1"', '+ "/v9"'),)


@dataclass(frozen=True)
class Runtime:
    """What runs a board's code, and how fast it lives."""

    name: str
    pace: tuple[tuple[str, float], ...]

    @property
    def source(self) -> bool:
        """Whether releases hold .py files."""
        return self.name == "cpython"

    @property
    def quick(self) -> bool:
        """Whether it lives at another pace than a product that is sold."""
        return self.pace == _QUICK

    @property
    def period_s(self) -> float:
        return dict(self.pace)["period_s"]


_QUICK = (("period_s", 1), ("report_s", 1), ("sync_s", 1), ("alive_s", 0))
_AS_SOLD = (("period_s", 30), ("report_s", 60), ("sync_s", 900), ("alive_s", 20))
MICROPYTHON = Runtime("micropython", _QUICK)
CPYTHON = Runtime("cpython", _AS_SOLD)
CPYTHON_QUICKLY = Runtime("cpython", _QUICK)

# In place of the fixture `runtime`'s own choice: what goes through many seconds, and what takes hours.
_BOTH = [MICROPYTHON, pytest.param(CPYTHON_QUICKLY, marks=pytest.mark.whole)]
QUICKLY = pytest.mark.parametrize("runtime", _BOTH, ids=lambda it: it.name, indirect=True)
FOR_HOURS = pytest.mark.parametrize("runtime", [CPYTHON], ids=lambda it: it.name, indirect=True)


class Foundry:
    """Makes releases and flash images, each once in a test run. The application image in them is a small fake."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._release = functools.cache(self._make_release)
        self.flash = functools.cache(self._flash)
        self.firmware = functools.cache(self._firmware)

    def release(self, version: str, source: bool, change: Change = (), size: int | None = None, **fields: Any) -> Path:
        """A signed release of lib/ with a change in it; size: of its application image, or REAL.

        Without a size versions 1.x share one application image, versions 2.x have another, and so on.
        """
        return self._release(version, source, change, SIZE * int(version[0]) if size is None else size, **fields)

    def _make_release(self, version: str, source: bool, change: Change, size: int, **fields: Any) -> Path:
        shop = self._shop(self.firmware(size), source)
        overlay = self._overlay(shop.folder / "overlay", change)
        edition = {"thermometer/edition.txt": version.encode()}  # so that no two have the same files
        return shop.release(version, overlay, assets=edition, **fields)

    def _flash(self, release: Path) -> bytes:
        """A board's flash with a release in it, for no serial in particular."""
        return self._shop(self.firmware(SIZE), False).image(release, SERIAL, "http://127.0.0.1").read_bytes()

    def _shop(self, firmware: Path, source: bool) -> Workshop:
        self._count += 1
        folder = self._folder / str(self._count)
        folder.mkdir()
        private, public = write_test_key(folder)
        private.rename(folder / "signing-key.pem")
        public.rename(folder / "signing-key.pub.pem")
        return Workshop(folder, firmware, source)

    def _firmware(self, size: int) -> Path:
        if size in (REAL, REAL_TOO):
            return stock_firmware()[size]
        path = self._folder / f"firmware-{size}.bin"
        path.write_bytes(images.whole_firmware(images.application(size)))
        return path

    @staticmethod
    def _overlay(folder: Path, change: Change) -> Path:
        folder.mkdir(parents=True)
        for name, old, new in change:
            path = folder / name
            text = (path if path.exists() else PROJECT / "lib" / name).read_text()
            assert text.count(old) == 1, f"lib/{name} has {old!r} {text.count(old)} times, the change expects it once"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace(old, new))
        return folder


class Company:
    """A vendor with its server (and a front before it), a product and a template.

    like: the folder of a company that is closed, and its versions: this one begins with all that it had.
    """

    def __init__(
        self,
        folder: Path,
        foundry: Foundry,
        runtime: Runtime,
        like: tuple[Path, dict[str, schemas.Version]] | None = None,
        tls: bool = False,
    ) -> None:
        if like:
            shutil.copytree(like[0] / "server", folder / "server")
        self.foundry = foundry
        self.runtime = runtime
        token = "a-token-of-the-tests"
        # The limits on activations go by the host's clock; a virtual day takes a second of it.
        settings = Settings(folder / "server", token, serial_rate=_OFTEN, client_rate=_OFTEN, points_rate=_OFTEN)
        self.server = LocalServer(folder / "server", token=token, settings=settings, tls=tls)
        self.server.start()
        self.front = Front(self.server.url).__enter__()
        self.vendor = VendorClient(self.server.url, token, self.server.ca_path)
        self.vendor_keys = [write_test_key(folder)[1]]
        self.versions: dict[str, schemas.Version] = dict(like[1]) if like else {}
        if not like:
            self.vendor.create_template(TEMPLATE)
            self.vendor.create_product(PRODUCT, TEMPLATE, TEMPLATE, keys=self.vendor_keys, flash_size="4MiB")

    def close(self) -> None:
        self.vendor.close()
        self.front.__exit__()
        self.server.stop()

    def publish(self, version: str, change: Change = (), **fields: Any) -> schemas.Version:
        """Make a release (once) and let every board have it; the same version again publishes it again."""
        if version in self.versions:
            self.vendor.publish(self.versions[version].id, force=True)  # an older one again, mostly
            return self.versions[version]
        return self.publish_file(version, self.foundry.release(version, self.runtime.source, change, **fields))

    def publish_file(self, version: str, firmware: Path | bytes) -> schemas.Version:
        """The same with firmware that is made already."""
        made = self.vendor.create_version(TEMPLATE, version)
        self.vendor.upload_firmware(made.id, firmware)
        self.vendor.publish(made.id, force=True)
        self.versions[version] = made
        return made

    def slips_in(self, version: str, firmware: bytes) -> schemas.Version:
        """The same by somebody who has taken the server over: it may be anything, and nobody has looked at it."""
        made = self.versions[version] = self.vendor.create_version(TEMPLATE, version)
        context = self.server._server.config.app.state.context

        async def stream() -> AsyncIterator[bytes]:
            yield firmware

        received = anyio.run(context.firmware.receive, stream())
        with context.database.writing() as session:
            row = session.get(Version, made.id)
            row.firmware_size, row.firmware_sha256 = received.size, received.sha256
            if received.release is not None:
                row.release_digest, row.release_version = received.release.digest, received.release.version
            context.firmware.keep(received, made.id, session)
            row.template.target = row
        return made


class Life:
    """One board, from its first power-on. `world` is what surrounds it, `front` what is between it and the server."""

    def __init__(self, folder: Path, company: Company, serial: str = SERIAL, register: bool = True) -> None:
        self.runtime = company.runtime
        self.company = company
        self.front = company.front
        self.vendor = company.vendor
        self.publish = company.publish
        self.serial = serial
        self.number = serial  # by which the server knows the board
        self.world = World()
        if register:
            self.vendor.add_serial(PRODUCT, serial)
        self.flash = folder / f"{serial}-{time.monotonic_ns()}.bin"
        self.events: list[Event] = []
        self._board: Board | None = None
        self._thread: threading.Thread | None = None
        self._trouble: BaseException | None = None
        self._changed = threading.Condition()
        self._seen = 0
        self._wanted: Callable[[Event], bool] | None = None
        self._found: Event | None = None
        self._leaving = False
        self.secure = False  # whether its server is called by https

    # before the first power-on

    def made(self, release: Path | None = None, size: int | None = None, **record: Any) -> Life:
        """Write the flash: with release 1.0.0, or another; record: more members of the factory record."""
        release = release or self.company.foundry.release("1.0.0", self.runtime.source, size=size)
        self.flash.write_bytes(self.company.foundry.flash(release))
        members = {"plain_http": True, **dict(self.runtime.pace), **record}
        self.write("factory", factory_record.pack(self.serial, PRODUCT, self.front.url, **members))
        return self

    def knows_networks(self, *networks: tuple[str, str]) -> None:
        """Store Wi-Fi networks, (name, key) each."""
        stored = [{"ssid": ssid, "key": key} for ssid, key in networks]
        self.change_nvs(lambda open_: open_("wifi").set_blob("networks", json.dumps(stored).encode()))

    # the board's power

    def boots(self, **options: Any) -> None:
        """Switch the board on."""
        assert self._thread is None, "the board is on already"
        if self._board is None:
            lib = (PROJECT / "lib",) if self.runtime.source else ()
            self._board = Board(
                self.flash,
                self.world,
                self.runtime.name,
                virtual_time=True,
                sources=lib,
            )
            self.front.boards.append(self._board)
        self._leaving = False
        self._thread = threading.Thread(target=self._live, args=(options,), name="life", daemon=True)
        self._thread.start()

    def off(self) -> None:
        """Switch the power off, whatever the board is doing."""
        if self._thread is None or self._board is None:
            return
        with self._changed:
            self._leaving = True
            self._changed.notify_all()
        self._thread.join(5)
        if self._thread.is_alive():  # it stops at its next line, if there is one
            self._board.power_off()
            self._thread.join(LIMIT_S)
        assert not self._thread.is_alive(), "the board can't be switched off"
        self._thread = None
        self._seen = len(self.events)

    @property
    def board(self) -> Board:
        assert self._board is not None, "the board was never on"
        return self._board

    def kept_within_memory(self) -> None:
        """Whatever it went through: its heap took no third area, and left ESP-IDF what the network needs."""
        if self._board is not None:
            memory = self._board.memory
            assert memory.areas <= budget.AREAS, memory
            assert memory.least >= (budget.IDF_TLS if self.secure else budget.IDF_HTTP), memory

    # what the board says

    def says(self, topic: str, pattern: str = "", within_s: float = LIMIT_S) -> str:
        """Follow the board until it says such a line; its text."""

        def wanted(event: Event) -> bool:
            found = _LINE.fullmatch(event.text) if event.kind == "console" else None
            return found is not None and found[1] == topic and re.search(pattern, found[2]) is not None

        return self._follow(wanted, f"says {topic}: {pattern}", within_s).text.split(": ", 2)[2]

    def suffers(self, kind: str, within_s: float = LIMIT_S) -> Event:
        """Follow the board until this happens to it: reset, watchdog, panic, cut, boot, ..."""
        return self._follow(lambda event: event.kind == kind, f"suffers {kind}", within_s)

    def measures(self, count: int, within_s: float = LIMIT_S) -> None:
        """Follow the board while it takes so many readings more."""
        left = [count]

        def wanted(event: Event) -> bool:
            left[0] -= event.text.startswith("tk: reading:")
            return left[0] <= 0

        self._follow(wanted, f"measures {count} times", within_s)

    def passes(self, duration_s: float, within_s: float = LIMIT_S) -> None:
        """Follow the board for so long of its own time, from its next event on."""
        begun_s: list[float] = []

        def wanted(event: Event) -> bool:
            begun_s[:] = begun_s or [event.at_s]
            return event.at_s >= begun_s[0] + duration_s

        self._follow(wanted, f"lives {duration_s} s on", within_s)

    def said(self, topic: str) -> list[str]:
        """Everything that it has said of a topic so far."""
        found = [_LINE.fullmatch(event.text) for event in list(self.events) if event.kind == "console"]
        return [match[2] for match in found if match and match[1] == topic]

    def happened(self, kind: str) -> int:
        """How often this has happened to the board."""
        return sum(event.kind == kind for event in list(self.events))

    # what has become of it

    @property
    def thing(self) -> schemas.Thing:
        """The thing as the server knows it."""
        return self.vendor.thing(self.number)

    @property
    def version(self) -> str | None:
        """Name of the version that the server believes it runs."""
        current = self.thing.current_version
        return current.name if current else None

    def readings(self) -> list[schemas.Datapoint]:
        """The readings that the server has, in the order in which they were taken."""
        return sorted(self.vendor.datapoints(self.number), key=lambda point: point.at)

    def gaps_s(self) -> list[float]:
        """Seconds between the readings that the server has."""
        times = [reading.at.timestamp() for reading in self.readings()]
        return [later - earlier for earlier, later in itertools.pairwise(times)]

    def stored(self, name: str, namespace: str = "keeper") -> Any:
        """A record of NVS; None without one."""
        found = nvs.read(self.read("nvs"))
        assert not found.problems, found.problems
        value = found.values.get((namespace, name))
        return None if value is None else json.loads(value)

    def change_nvs(self, change: Callable[[Callable[[str], Any]], None]) -> None:
        """Let `change` work on NVS: it is given what opens a namespace, like esp32.NVS."""
        with self.flash.open("r+b", buffering=0) as file:
            board, shim = open_flash(file)
            board.tell = lambda line: None
            change(shim["esp32"].NVS)

    def read(self, label: str) -> bytes:
        """The bytes of a partition."""
        part = TABLE[label]
        with self.flash.open("rb") as file:
            file.seek(part.offset)
            return file.read(part.size)

    def write(self, label: str, data: bytes) -> None:
        """Put bytes at the start of a partition."""
        with self.flash.open("r+b") as file:
            file.seek(TABLE[label].offset)
            file.write(data)

    # inside

    def _live(self, options: dict[str, Any]) -> None:
        try:
            self.board.play(self._heard, max_boots=1000, until=lambda event: self._leaving, **options)
        except BaseException as error:
            self._trouble = error
        with self._changed:
            self._changed.notify_all()

    def _heard(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            self._look()
            self._changed.notify_all()
            while self._wanted is None and not self._leaving:
                self._changed.wait()

    def _look(self) -> None:
        """See whether what the test waits for is among what is new."""
        while self._wanted and self._seen < len(self.events):
            event = self.events[self._seen]
            self._seen += 1
            if self._wanted(event):
                self._found, self._wanted = event, None

    def _follow(self, wanted: Callable[[Event], bool], what: str, within_s: float) -> Event:
        deadline_s = time.monotonic() + within_s
        with self._changed:
            self._found, self._wanted = None, wanted
            self._look()
            self._changed.notify_all()
            while self._found is None:
                alive = self._thread is not None and self._thread.is_alive()
                left_s = deadline_s - time.monotonic()
                if not alive or left_s <= 0:
                    self._wanted = None
                    raise AssertionError(self._complaint(what, alive, within_s)) from self._trouble
                self._changed.wait(min(left_s, 0.5))
            return self._found

    def _complaint(self, what: str, alive: bool, within_s: float) -> str:
        why = f"not in {within_s} s" if alive else "the board is off"
        told = [event for event in self.events if not re.match("tk: (reading|download):", event.text)]
        story = "\n".join(f"  {event.at_s:6.2f} {event}" for event in told[-30:])
        asked = "\n".join(f"  {request.line}" for request in self.front.requests[-6:])
        return f"the board never {what}: {why}. Its last lines:\n{story}\nThe front's last requests:\n{asked}"


def quicker(runtime: Runtime, **limits_ms: int) -> Change:
    """Shorter limits (watchdog, trial) for a release that is to fail soon; none at the product's own pace."""
    if not runtime.quick:
        return ()
    changes = []
    for name, limit_ms in limits_ms.items():
        for path in sorted((PROJECT / "lib/thermometer").rglob("*.py")):
            for line in path.read_text().splitlines(keepends=True):
                if line.startswith(f"_{name.upper()}_MS = "):
                    changes.append(
                        (path.relative_to(PROJECT / "lib").as_posix(), line, f"_{name.upper()}_MS = {limit_ms}\n")
                    )
    assert len(changes) == len(limits_ms), "lib/thermometer has other names for its limits"
    return tuple(changes)
