"""What all demos tell: a vendor's release on a board, its readings, an update, and what came of it.

Nothing is told that was not seen: each step waits for the board's own line or the server's answer, and a step that
doesn't come ends the demo with a ToolError. The board runs boot.py, main.py and lib/ unchanged. How a board gets its
thing differs from service to service: each has a story of its own.
"""

from __future__ import annotations

import re
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from rich.console import Console
from rich.table import Table

from thermokeeper.client.calls import VendorClient
from thermokeeper.client.connection import Refused
from thermokeeper.contract.schemas import Thing
from thermokeeper.demo.telling import Telling, Watcher
from thermokeeper.demo.workshop import PRODUCT, Workshop, public_key
from thermokeeper.errors import ToolError
from thermokeeper.release.stock import stock_firmware
from thermokeeper.server.local import LocalServer
from thermokeeper.simulator.board import Board
from thermokeeper.simulator.describe import describe
from thermokeeper.simulator.proxy import CountingProxy
from thermokeeper.simulator.world import World

SERIAL = "THERM00000000000001"
TEMPLATE = "Thermometer"
THING = "ThermometerDevice"
VERSION_2 = Path(__file__).with_name("overlays") / "version2"
CRASHING = Path(__file__).with_name("overlays") / "crashing"
CUT_AT = 400  # flash operations after the board was last heard of: an update has twice as many
# A reading every other second instead of every half minute and so on: the demo should not take an afternoon.
PACE: dict[str, Any] = {"period_s": 2, "report_s": 4, "sync_s": 3, "alive_s": 3}
FLASH = {"erase_ms": 45, "program_ms": 12}  # what a block takes on a chip
HEAP = "256k"
KEPT = {
    "keeper/release": "version id, and the release it belongs to",
    "keeper/policy": "security version",
    "wifi/networks": "Wi-Fi networks",
}


SHOWN = (
    "Shown: a board activated itself, updated itself, refused a forged release before a byte was erased, left a "
    "release that crashes and told why, lost power in a download and went on; nobody touched it."
)


class Story(ABC):
    """One life, told. `number`: what the server knows the board by; `flash` is there once it is made."""

    kept: ClassVar[dict[str, str]]  # in NVS, for this service
    number = SERIAL

    def __init__(self, telling: Telling, folder: Path, vendor: VendorClient, wire: CountingProxy) -> None:
        self.telling = telling
        self.folder = folder
        self.vendor = vendor
        self.wire = wire
        self.flash = folder

    # what a service tells itself

    @abstractmethod
    def register(self) -> dict[str, Any]:
        """The vendor expects the board; what its factory record has to say for that."""

    @abstractmethod
    def join(self, watcher: Watcher) -> None:
        """From power-on until the board has its thing."""

    @abstractmethod
    def outcome(self, thing: Thing) -> Iterator[tuple[str, str]]:
        """More rows of the summary; ToolError if server or board know something else than was told."""

    # what they all do

    def live(self) -> None:
        """The whole life."""
        telling, vendor = self.telling, self.vendor
        telling.line("server", f"listens on {vendor.url}, data in SQLite")
        with telling.step("make and register version 1, make the flash image"):
            interpreter, newer_interpreter = stock_firmware()
            shop = Workshop(self.folder, interpreter)
            vendor.create_template(TEMPLATE)
            vendor.create_product(PRODUCT, TEMPLATE, TEMPLATE, keys=[public_key(shop.key)], flash_size="4MiB")
            first = self._publish("1", shop.release("1.0.0"))
            size = f"{first.stat().st_size >> 10} KiB"
            telling.line("vendor", f"made release 1.0.0 ({size}), signed it, published it as version 1")
            self.flash = shop.image(first, SERIAL, self.wire.url, **PACE, **self.register())
            megabytes = self.flash.stat().st_size >> 20
            telling.line("vendor", f"made {self.flash.name}: {megabytes} MiB, release 1.0.0 in ota_0")

        world = World(measure_heap=True, sensor={"temperature_c": 21.5, "wave_c": 1.5}, flash=FLASH)
        board = Board(self.flash, world, "micropython", HEAP, virtual_time=True)
        events = board.run()
        try:
            watcher = Watcher(events, telling, board.power_off)
            telling.line("board", f"power on (unix MicroPython, heap {HEAP})")
            self.join(watcher)
            with telling.step("confirm version 1, name the thing, deliver readings"):
                watcher.wait_for("confirm", "confirmed", "confirmation of version 1")
                watcher.wait_for("thing", THING, "naming the thing")  # which stands before nothing
                self._wait_for_readings(watcher, 2)
            with telling.step("make and publish version 2"):
                second = self._publish("2", shop.release("2.0.0", VERSION_2, newer_interpreter))
                telling.line("vendor", f"published version 2 ({second.stat().st_size >> 10} KiB)")
                telling.line("vendor", "it has a newer MicroPython, and a display that knows Fahrenheit")
            with telling.step("notice and download version 2"):
                watcher.wait_for("update", "to 2", "noticing version 2")
                watcher.wait_for("reset", "2.0.0", "download of version 2")
            with telling.step("trial boot, proof of health, confirmation of version 2"):
                watcher.wait_for("slot", "ota_1 runs release 2.0.0, on trial", "trial boot of version 2")
                watcher.wait_for("trial", "passed", "proof of version 2")
                watcher.wait_for("confirm", "confirmed", "confirmation of version 2")
            with telling.step("deliver readings as version 2"):
                watcher.wait_for("reading", " F, between", "a reading of version 2")
                self._wait_for_readings(watcher, self._count() + 1)
            with telling.step("refuse a forged release"):
                self._forge(shop, board, watcher)
            with telling.step("roll back a release that crashes, tell why"):
                self._crash(shop, watcher)
            with telling.step("lose power in a download, go on, confirm version 5"):
                self._cut(shop, board, watcher)
        finally:
            events.close()
        self._summary(board, watcher)

    def _forge(self, shop: Workshop, board: Board, watcher: Watcher) -> None:
        """A release that the vendor's key didn't sign: refused on its first 4 KiB, before anything is erased."""
        forged = shop.release("3.0.0", VERSION_2, key=shop.another_key("stranger"))
        done = len(board.operations)
        refusal = self._refused("3", forged)
        self.telling.line("forger", "uploaded version 3, signed with a key of his own")
        self.telling.line("server", refusal.removeprefix("the server "))
        for key in self.vendor.keys(PRODUCT):
            self.vendor.remove_key(PRODUCT, key.id)
        self.vendor.publish(f"{TEMPLATE}/3", force=True)
        self.telling.line("forger", "got the vendor's token, took the product's key away and published it by force")
        watcher.wait_for("wait", "a key that isn.t trusted here", "the refusal of the forged release")
        written = [one for one in board.operations[done:] if one.partition.startswith("ota_")]
        if written:
            raise ToolError(f"the forged release cost {len(written)} operations on the slots")
        self.telling.line("demo", "not a byte of either slot was erased or written for it")
        self.vendor.add_key(PRODUCT, public_key(shop.key))

    def _crash(self, shop: Workshop, watcher: Watcher) -> None:
        """A release of the vendor's own that can't show a reading: it leaves by itself, and the vendor hears why."""
        self._publish("4", shop.release("4.0.0", CRASHING))
        self.telling.line("vendor", "published version 4, which crashes at its first reading")
        watcher.wait_for("slot", "runs release 4.0.0, on trial", "trial boot of version 4")
        watcher.wait_for("slot", "runs release 2.0.0", "the way back to version 2")
        watcher.wait_for("rollback", "4.0.0", "the rollback of version 4")
        watcher.wait_until(lambda *_: bool(self._failure()), "the report of the rollback")
        self.telling.line("server", f"was told: {self._failure()}")

    def _failure(self) -> str:
        told = [str(one.value) for one in self.vendor.thing(self.number).properties if one.name == "updateFailure"]
        return "".join(told)

    def _cut(self, shop: Workshop, board: Board, watcher: Watcher) -> None:
        """The power goes in the middle of a download, and comes back."""
        board.world.cut(len(board.operations) + CUT_AT, "middle")
        self._publish("5", shop.release("5.0.0", VERSION_2))
        self.telling.line("vendor", "published version 5, which is well; the power will go while it is written")
        watcher.wait_for("download", "goes on at", "going on where the download stood")
        watcher.wait_for("slot", "runs release 5.0.0, on trial", "trial boot of version 5")
        watcher.wait_for("confirm", "confirmed", "confirmation of version 5")

    def _refused(self, name: str, release: Path) -> str:
        """Upload it and try to publish it; why the server doesn't."""
        try:
            self._publish(name, release)
        except Refused as error:
            return str(error)
        raise ToolError(f"the server published version {name}, which it should refuse")

    def _publish(self, name: str, release: Path) -> Path:
        self.vendor.create_version(TEMPLATE, name)
        self.vendor.upload_firmware(f"{TEMPLATE}/{name}", release)
        self.vendor.publish(f"{TEMPLATE}/{name}")
        return release

    def _count(self) -> int:
        return sum(reading.count for reading in self.vendor.thing(self.number).readings)

    def _wait_for_readings(self, watcher: Watcher, wanted: int) -> None:
        """Follow the board until the server has so many readings of it."""
        watcher.wait_until(
            lambda topic, _: topic == "reading" and self._count() >= wanted, f"delivery of {wanted} readings"
        )

    def _summary(self, board: Board, watcher: Watcher) -> None:
        telling, wire = self.telling, self.wire
        thing = self.vendor.thing(self.number)
        current = thing.current_version
        if current is None or current.name != "5" or thing.name != THING:
            raise ToolError(f"the server knows {thing.name} with version {current.name if current else 'none'}, not 5")
        kept = {**self.kept, **KEPT}
        table = Table(show_header=False, box=None, padding=(0, 2))
        for line in describe(board.flash):
            if re.match(r"  (keeper|wifi)/", line):
                name, _, size = line.strip().partition(": ")
                table.add_row("in NVS", f"{name}, {size}: {kept.get(name, 'not known to the demo')}")
            elif line.startswith("next boot: "):
                table.add_row("slot", f"{board.slot} ran last; next boot: {line.removeprefix('next boot: ')}")
        activations = f"{thing.activation_count} activation{'s' if thing.activation_count != 1 else ''}"
        table.add_row("on the server", f"{thing.name}, thing {thing.id}")
        table.add_row("", f"version {current.name}, {self._count()} readings, {activations}")
        for row in self.outcome(thing):
            table.add_row(*row)
        table.add_row("bytes", f"{wire.to_device_bytes:,} to the board, {wire.to_server_bytes:,} from it")
        table.add_row("", f"in {wire.connections} connections")
        table.add_row("peak heap", f"{board.heap_peak_bytes >> 10} KiB on the board (64-bit), of {HEAP}")
        table.add_row("", f"and {board.heap_shim_bytes >> 10} KiB for the simulator's own modules")
        table.add_row(
            "longest gap", f"{watcher.longest_gap_s:.1f} s between readings; one is due every {PACE['period_s']} s"
        )
        for name, seconds in telling.steps:
            table.add_row("board's time", f"{seconds:5.1f} s  {name}")
        table.add_row("", f"{telling.now_s:5.1f} s  all together, told in {time.monotonic() - telling.began_s:.1f} s")
        telling.console.rule("what came of it")
        telling.console.print(table)
        telling.console.print(SHOWN, soft_wrap=True)


def tell(kind: type[Story], console: Console) -> None:
    """Run a whole story; ToolError if anything in it doesn't happen."""
    telling = Telling(console)
    with tempfile.TemporaryDirectory(prefix="thermokeeper-demo-") as name:
        folder = Path(name)
        with (
            LocalServer(folder / "server") as server,
            CountingProxy(server.url) as wire,
            VendorClient(server.url, server.vendor_token) as vendor,
        ):
            kind(telling, folder, vendor, wire).live()
