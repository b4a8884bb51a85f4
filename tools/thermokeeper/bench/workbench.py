"""What the measurements need: a server with releases of several sizes, and boards that run a program against it.

It knows how to set up and run, not what is measured.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from thermokeeper.client.calls import VendorClient
from thermokeeper.demo.workshop import PRODUCT, Workshop
from thermokeeper.errors import ToolError
from thermokeeper.files import PROJECT
from thermokeeper.formats import factory_record, nvs
from thermokeeper.formats.partitions import table_for
from thermokeeper.image import builder as image_builder
from thermokeeper.release.builder import ReleaseFile, read_release
from thermokeeper.release.firmware import Firmware
from thermokeeper.release.stock import stock_firmware
from thermokeeper.server.local import LocalServer
from thermokeeper.simulator.board import Board
from thermokeeper.simulator.world import World

RELEASES = ("small", "stock", "full")
SERIAL = "THERM00000000000001"
_INSTALLER_SERIAL = "THERM00000000000002"  # of its own: a board that boots may activate, which ends the other's key
NETWORK = ("workshop", "thermometer")  # the simulated world's
HEAP_KIB = 256
_RUNNING_BYTES = 64_000
_SMALL_BYTES = 300_000
_FLASH_SIZE = "4MiB"
_LIMIT_S = 600
_MAIN = b"import gc\ngc.threshold(1024)  # as the real main.py\nfrom thermometer.app import run\nrun()\n"
_NUMBER = re.compile(r"bench: (?P<name>\w+) (?P<number>\d+)")
_FAILURE = re.compile(r"bench: failed|MemoryError|memory allocation failed")
_TEMPLATE = "Thermometer"


@dataclass(frozen=True)
class FlashTimes:
    """Milliseconds that flash takes for a block of 4096 bytes."""

    erase: float = 0
    program: float = 0
    read: float = 0


@dataclass(frozen=True)
class Run:
    """What a board did: the numbers that it printed, by name; when it was done, None if it never was; its last line."""

    numbers: dict[str, list[int]]
    done_s: float | None
    last_line: str

    @property
    def done(self) -> bool:
        return self.done_s is not None


class Workbench:
    """`releases` by name: small, stock (the real MicroPython), full (the largest that fits); `versions`: their ids."""

    def __init__(self, folder: Path, server_url: str) -> None:
        self._folder = folder
        self._url = server_url
        self._shop = Workshop(folder, stock_firmware()[0])
        self.releases: dict[str, ReleaseFile] = {}
        self.versions: dict[str, str] = {}
        self._credentials: dict[str, str] = {}
        self._table = table_for(_FLASH_SIZE)

    def publish(self, vendor: VendorClient, names: Sequence[str] = RELEASES) -> None:
        """Make the releases and give them to the server; activate as the one thing there is."""
        # What runs shares no part with the others: a part that is in the running slot isn't downloaded.
        self._running = self._release("running", _RUNNING_BYTES)
        fs_bytes = len(self._running.fs)  # of any of them
        app_bytes = {"small": _SMALL_BYTES - fs_bytes, "full": self._table.slot_size - 4096 - fs_bytes}
        self.releases = {name: self._release(name, app_bytes.get(name)) for name in names}
        vendor.create_template(_TEMPLATE)
        vendor.create_product(PRODUCT, _TEMPLATE, _TEMPLATE)
        vendor.add_serials(PRODUCT, [SERIAL, _INSTALLER_SERIAL])
        for name, release in self.releases.items():
            self.versions[name] = vendor.create_version(_TEMPLATE, name).id
            vendor.upload_firmware(f"{_TEMPLATE}/{name}", release.path)
        answer = httpx.post(f"{self._url}/v1/provision/activate.json", json={"serialNumber": _INSTALLER_SERIAL})
        answer.raise_for_status()
        activated = answer.json()
        self._credentials = {"key": activated["apiKey"], "thing": activated["thingId"]}

    def run(
        self,
        task: str,
        release: str = "stock",
        heap_kib: int = HEAP_KIB,
        flash_ms: FlashTimes = FlashTimes(),
        **options: Any,
    ) -> Run:
        """Let a new board run device/measuring.py on a release. What tasks and options there are, stands there."""
        config = {
            "task": task,
            "server": self._url,
            "version": self.versions[release],
            "blocks": self.releases[release].manifest.slot_size // 4096,
            "ssid": NETWORK[0],
            "wifi_key": NETWORK[1],
            "read_ms": flash_ms.read,
            **self._credentials,
            **options,
        }
        files = {"main.py": _MAIN, "bench.json": json.dumps(config).encode()}
        return self.run_files(files, "bench: done", heap_kib, flash_ms)

    def run_files(
        self,
        files: dict[str, bytes],
        last: str,
        heap_kib: int = HEAP_KIB,
        flash_ms: FlashTimes = FlashTimes(),
    ) -> Run:
        """Let a new board run, with `files` over its boot.py and main.py, until it prints a line that has `last` in it.

        It is also over when the board resets or its memory runs out.
        """
        flash = self._flash(image_builder.read_vfs_files(PROJECT) | files)
        world = World(flash={"erase_ms": flash_ms.erase, "program_ms": flash_ms.program})
        numbers: dict[str, list[int]] = {}
        done_s = None
        line = "nothing"
        events = Board(flash, world, "micropython", f"{heap_kib}k").run(wall_s=_LIMIT_S, max_boots=1)
        try:
            for event in events:
                if event.kind != "console":
                    continue
                line = event.text
                if match := _NUMBER.fullmatch(line):
                    numbers.setdefault(match["name"], []).append(int(match["number"]))
                if last in line:
                    done_s = event.at_s
                    break
                if _FAILURE.search(line):
                    break
        finally:
            events.close()
        return Run(numbers, done_s, line)

    def _flash(self, vfs_files: dict[str, bytes]) -> Path:
        pieces = image_builder.pieces(
            self._shop.firmware,
            self._running,
            factory_record.pack(SERIAL, PRODUCT, self._url, plain_http=True),
            [nvs.parse_network(":".join(NETWORK))],
            vfs_files,
            _FLASH_SIZE,
            PRODUCT,
        )
        path = self._folder / "flash.bin"
        path.write_bytes(image_builder.assemble(pieces, _FLASH_SIZE))
        return path

    def _release(self, name: str, app_bytes: int | None) -> ReleaseFile:
        """A release whose application is the program that measures, and a file that no other has.

        It has the stock interpreter, or something of so many bytes in its place.
        """
        overlay = self._folder / f"overlay-{name}"
        (overlay / "thermometer").mkdir(parents=True)
        (overlay / "thermometer" / "bench.py").write_text(
            f'"""Only in the release for the bench: {name}."""\nNAME = "{name}"\n'
        )
        program = Path(__file__).parent / "device" / "measuring.py"
        (overlay / "thermometer" / "app.py").write_bytes(program.read_bytes())
        shop = Workshop(self._folder, self._shop.firmware.path)
        if app_bytes is not None:
            shop.firmware = application_of(shop.firmware, app_bytes)
        return read_release(shop.release(name, overlay))


@contextmanager
def workbench(folder: Path, names: Sequence[str] = RELEASES) -> Iterator[Workbench]:
    """A workbench with its server running and its releases published."""
    with LocalServer(folder / "server") as server, VendorClient(server.url, server.vendor_token) as vendor:
        bench = Workbench(folder, server.url)
        bench.publish(vendor, names)
        yield bench


def application_of(firmware: Firmware, size: int) -> Firmware:
    """The firmware with an application image of so many bytes (in 16s): its form is right, its code is noise."""
    content = (size // 16 * 16) - 24 - 8 - 16 - 32
    if content <= 0:
        raise ToolError(f"an application image has more than {size} bytes")
    head = bytearray(firmware.application[:24])
    head[1], head[23] = 1, 1  # one segment, a hash
    data = random.Random(size).randbytes(content)
    checksum = 0xEF
    for byte in data:
        checksum ^= byte
    image = bytes(head) + struct.pack("<II", 0x3F400020, content) + data
    image += bytes(15 - len(image) % 16) + bytes([checksum])
    return replace(firmware, application=image + hashlib.sha256(image).digest())
