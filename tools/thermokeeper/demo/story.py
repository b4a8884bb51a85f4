"""The demo's story: what a vendor, a server and a board do, as it happens, and what came of it.

Nothing is told that was not seen: each step waits for the board's own line or the server's answer, and a step that
doesn't come ends the demo with a ToolError. The board runs boot.py, main.py and lib/ unchanged.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table

from thermokeeper.demo.workshop import PRODUCT, Workshop
from thermokeeper.errors import ToolError
from thermokeeper.release.stock import stock_firmware
from thermokeeper.server.client import VendorClient
from thermokeeper.server.local import LocalServer
from thermokeeper.simulator.board import Board, Event
from thermokeeper.simulator.describe import describe
from thermokeeper.simulator.proxy import CountingProxy
from thermokeeper.simulator.world import World

SERIAL = "THERM00000000000001"
TEMPLATE = "Thermometer"
THING = "ThermometerDevice"
VERSION_2 = Path(__file__).with_name("version2")
# A reading every other second instead of every half minute and so on: the demo should not take an afternoon.
PACE: dict[str, Any] = {"period_s": 2, "report_s": 4, "sync_s": 3, "alive_s": 3}
HEAP = "256k"
KEPT = {
    "keeper/cloud": "apiKey and thing id",
    "keeper/release": "version id, and the release it belongs to",
    "keeper/policy": "security version",
    "wifi/networks": "Wi-Fi networks",
}
_STEP_LIMIT_S = 60
_LINE = re.compile(r"tk: (?P<topic>\w+): (?P<text>.*)")
_PERCENT = re.compile(r"(\d+)% of (\d+) KiB")


@dataclass
class Telling:
    """The story's voice and its notebook."""

    console: Console
    began_s: float = field(default_factory=time.monotonic)
    steps: list[tuple[str, float]] = field(default_factory=list)

    def line(self, who: str, text: str) -> None:
        colour = {"vendor": "magenta", "server": "blue", "board": "green"}[who]
        self.console.print(
            f"[dim]{time.monotonic() - self.began_s:5.1f} s[/]  [{colour}]{who:<6}[/]  {text}", soft_wrap=True
        )

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        start_s = time.monotonic()
        yield
        self.steps.append((name, time.monotonic() - start_s))


class Watcher:
    """Reads what the board says, retells it, and waits for lines."""

    def __init__(self, events: Iterator[Event], telling: Telling) -> None:
        self._events = events
        self._telling = telling
        self._bar: tuple[Progress, TaskID] | None = None
        self.longest_gap_s = 0.0
        self._last_reading_s: float | None = None
        self._readings = 0

    def wait_for(self, topic: str, pattern: str, what: str) -> str:
        """Follow the board until it says a line of the topic that matches; the text of that line."""
        return self.wait_until(lambda found, text: found == topic and re.search(pattern, text) is not None, what)

    def wait_until(self, done: Callable[[str, str], bool], what: str) -> str:
        limit_s = time.monotonic() + _STEP_LIMIT_S
        last = ""
        for event in self._events:
            if time.monotonic() > limit_s:
                raise ToolError(f"{what} did not happen in {_STEP_LIMIT_S} s; the board's last line: {last}")
            match = _LINE.fullmatch(event.text) if event.kind == "console" else None
            last = event.text or event.kind
            if match:
                self._retell(match["topic"], match["text"], event.at_s)
                if done(match["topic"], match["text"]):
                    return match["text"]
            elif event.kind == "console":
                self._telling.line("board", f"[red]{event.text}[/]")
            elif event.kind not in ("note", "boot", "reset"):
                raise ToolError(f"{what} did not happen: the board ended ({event}); its last line: {last}")
        raise ToolError(f"{what} did not happen: the board is off; its last line: {last}")

    def _retell(self, topic: str, text: str, at_s: float) -> None:
        if topic == "download":
            self._progress(text)
            return
        if topic == "reading":
            if self._last_reading_s is not None:
                self.longest_gap_s = max(self.longest_gap_s, at_s - self._last_reading_s)
            self._last_reading_s = at_s
            self._readings += 1
            if self._readings % 2 == 0 or self._bar:  # half of them are enough to read
                return
        self._telling.line("board", f"[bold]{topic}[/] {text}")

    def _progress(self, text: str) -> None:
        match = _PERCENT.match(text)
        if not match:
            return
        percent = int(match[1])
        if self._bar is None:
            columns = (
                TextColumn("         [green]board [/]  [bold]download[/]"),
                BarColumn(40),
                TextColumn("{task.percentage:3.0f}% of " + match[2] + " KiB"),
            )
            bar = Progress(*columns, console=self._telling.console)
            self._bar = (bar, bar.add_task("download", total=100))
            bar.start()
        bar, task = self._bar
        bar.update(task, completed=percent)
        if percent >= 100:
            bar.stop()
            self._bar = None


def tell() -> None:
    """Run the whole story; ToolError if anything in it doesn't happen."""
    telling = Telling(Console(highlight=False))
    with tempfile.TemporaryDirectory(prefix="thermokeeper-demo-") as name:
        folder = Path(name)
        with (
            LocalServer(folder / "server") as server,
            CountingProxy(server.url) as wire,
            VendorClient(server.url, server.vendor_token) as vendor,
        ):
            _live(telling, folder, vendor, wire)


def _live(telling: Telling, folder: Path, vendor: VendorClient, wire: CountingProxy) -> None:
    telling.line("server", f"listens on {vendor.url}, data in SQLite")
    with telling.step("make and register version 1, make the flash image"):
        interpreter, newer_interpreter = stock_firmware()
        shop = Workshop(folder, interpreter)
        vendor.create_template(TEMPLATE)
        vendor.create_product(PRODUCT, TEMPLATE, TEMPLATE)
        first = _publish(vendor, "1", shop.release("1.0.0"))
        vendor.add_serial(PRODUCT, SERIAL)
        telling.line(
            "vendor", f"made release 1.0.0 ({first.stat().st_size >> 10} KiB), signed it, published it as version 1"
        )
        telling.line("vendor", f"registered product Thermometer and serial {SERIAL}")
        flash = shop.image(first, SERIAL, wire.url, **PACE)
        telling.line("vendor", f"made {flash.name}: {flash.stat().st_size >> 20} MiB, release 1.0.0 in ota_0")

    board = Board(flash, World(measure_heap=True, sensor={"temperature_c": 21.5, "wave_c": 1.5}), "micropython", HEAP)
    events = board.run()
    try:
        watcher = Watcher(events, telling)
        telling.line("board", f"power on (unix MicroPython, heap {HEAP})")
        with telling.step("boot, activate, confirm version 1"):
            watcher.wait_for("identity", SERIAL, "reading the serial from flash")
            watcher.wait_for("activate", "done", "activation")
            watcher.wait_for("thing", THING, "naming the thing")
            watcher.wait_for("confirm", "confirmed", "confirmation of version 1")
        with telling.step("deliver readings as version 1"):
            _wait_for_readings(vendor, watcher, 3)
        with telling.step("make and publish version 2"):
            second = _publish(vendor, "2", shop.release("2.0.0", VERSION_2, newer_interpreter))
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
            _wait_for_readings(vendor, watcher, _count(vendor) + 3)
    finally:
        events.close()  # type: ignore[attr-defined]  # a generator: closing it switches the board off
    _summary(telling, vendor, board, wire, watcher)


def _publish(vendor: VendorClient, name: str, release: Path) -> Path:
    vendor.create_version(TEMPLATE, name)
    vendor.upload_firmware(f"{TEMPLATE}/{name}", release)
    vendor.publish(f"{TEMPLATE}/{name}")
    return release


def _count(vendor: VendorClient) -> int:
    return sum(reading.count for reading in vendor.thing(SERIAL).readings)


def _wait_for_readings(vendor: VendorClient, watcher: Watcher, wanted: int) -> None:
    """Follow the board until the server has so many readings of it."""
    watcher.wait_until(
        lambda topic, _: topic == "reading" and _count(vendor) >= wanted, f"delivery of {wanted} readings"
    )


def _summary(telling: Telling, vendor: VendorClient, board: Board, wire: CountingProxy, watcher: Watcher) -> None:
    thing = vendor.thing(SERIAL)
    current = thing.current_version
    if current is None or current.name != "2" or thing.name != THING:
        raise ToolError(f"the server knows {thing.name} with version {current.name if current else 'none'}, not 2")
    table = Table(show_header=False, box=None, padding=(0, 2))
    for line in describe(board.flash):
        if re.match(r"  (keeper|wifi)/", line):
            name, _, size = line.strip().partition(": ")
            table.add_row("in NVS", f"{name}, {size}: {KEPT.get(name, 'not known to the demo')}")
        elif line.startswith("next boot: "):
            table.add_row("slot", f"{board.slot} ran last; next boot: {line.removeprefix('next boot: ')}")
    activations = f"{thing.activation_count} activation{'s' if thing.activation_count != 1 else ''}"
    table.add_row("on the server", f"{thing.name}, thing {thing.id}")
    table.add_row("", f"version {current.name}, {_count(vendor)} readings, {activations}")
    table.add_row("bytes", f"{wire.to_device_bytes:,} to the board, {wire.to_server_bytes:,} from it")
    table.add_row("", f"in {wire.connections} connections")
    table.add_row("peak heap", f"{board.heap_peak_bytes >> 10} KiB on the board (64-bit), of {HEAP}")
    table.add_row("", f"and {board.heap_shim_bytes >> 10} KiB for the simulator's own modules")
    table.add_row(
        "longest gap", f"{watcher.longest_gap_s:.1f} s between readings; one is due every {PACE['period_s']} s"
    )
    for name, seconds in telling.steps:
        table.add_row("took", f"{seconds:5.1f} s  {name}")
    table.add_row("", f"{time.monotonic() - telling.began_s:5.1f} s  all together")
    telling.console.rule("what came of it")
    telling.console.print(table)
