"""From a bare module to a thermometer that reports: factory, real server and simulated boards with the real firmware.

Only the cable is missing: what the factory would write by esptool goes into the file that the simulated board boots.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

import httpx
import pytest

import release_support
from on_a_port.factory.boards import FakeBoard
from on_a_port.factory.conftest import Factory
from thermokeeper.client.calls import VendorClient
from thermokeeper.demo.workshop import Workshop
from thermokeeper.errors import ToolError
from thermokeeper.factory import line as production
from thermokeeper.files import PROJECT
from thermokeeper.release.stock import stock_firmware
from thermokeeper.server.local import LocalServer
from thermokeeper.simulator.board import Board, Event
from thermokeeper.simulator.world import World


class SimulatedBoard(FakeBoard):
    """Says what the firmware in its flash says."""

    world = World()

    def console(self, limit_s: float) -> Iterator[str]:
        said: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        board = Board(self.path, self.world)

        def hear(event: Event) -> None:
            if event.kind == "console":
                said.put(event.text)

        def live() -> None:
            board.play(hear, wall_s=limit_s)
            said.put(None)

        thread = threading.Thread(target=live, daemon=True)
        thread.start()
        try:
            while (text := said.get(timeout=60)) is not None:
                yield text
        finally:
            board.power_off()
            thread.join(30)


@pytest.fixture
def server(tmp_path) -> Iterator[LocalServer]:
    with LocalServer(tmp_path / "server") as running, VendorClient(running.url, running.vendor_token) as vendor:
        vendor.create_product("thermometer", "Thermometer", vendor.create_template("Thermometer").id)
        yield running


@pytest.fixture
def made(tmp_path, server) -> Factory:
    """A factory with a batch of two that the server knows."""
    shop = Workshop(tmp_path, stock_firmware()[0])
    factory = Factory(tmp_path / "factory", PROJECT)
    factory.tool(
        *("new", "first", "--pattern", "THERM{:014d}", "--count", 2, "--firmware", stock_firmware()[0]),
        *("--release", shop.release("1.0.0"), "--trust", shop.key.with_suffix(".pub.pem"), "--server", server.url),
        *("--plain-http", "--wifi", "workshop:thermometer", "--set", "period_s=1", "--set", "sync_s=2"),
        *("--claim-url", "https://things.example.com/claim/{serial}", "--any-bootloader"),
    )
    factory.tool("register", "first", "--server", server.url, "--vendor-token", server.vendor_token)
    return factory


def test_two_bare_modules_become_thermometers_that_prove_themselves(made, server, tmp_path):
    release_support.tool(
        *("product", "set", "thermometer", "--proof-required"),
        *("--server", server.url, "--vendor-token", server.vendor_token),
    )
    journal, batch = made.journal, "first"
    stock = production.Stock(made.folder / "batches" / batch, journal.plan(batch))
    line = production.Line(journal, batch, stock, tmp_path / "labels", made.said.append, 40)
    boards = [SimulatedBoard(tmp_path / f"board-{number}.bin", f"24:0a:c4:00:00:0{number}") for number in (1, 2)]
    assert production.run(line, boards, made.folder, made.said.append) == 0, made.said
    serials = {board.serial() for board in boards}
    assert serials == {"THERM00000000000001", "THERM00000000000002"}
    with VendorClient(server.url, server.vendor_token) as vendor:
        for board in boards:
            lines = board.console(60)
            while vendor.serial(board.serial()).status != "active":
                next(lines)
            lines.close()
    for serial in serials:
        answer = httpx.post(f"{server.url}/v1/provision/activate.json", json={"serialNumber": serial})
        assert answer.json()["error"]["code"] == "proof_required"


def test_a_board_without_its_sensor_fails_the_self_test(made, tmp_path):
    journal, batch = made.journal, "first"
    stock = production.Stock(made.folder / "batches" / batch, journal.plan(batch))
    line = production.Line(journal, batch, stock, tmp_path / "labels", made.said.append, 12)
    board = SimulatedBoard(tmp_path / "board.bin", "24:0a:c4:00:00:01")
    board.world = World(sensor={"fault": "missing"})
    with pytest.raises(ToolError, match="isn't tested: the board doesn't say .* in time; it says: .*sensor"):
        line.make(board)
    assert not (tmp_path / "labels").exists()
