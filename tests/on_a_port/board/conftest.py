"""Boards without hardware: a ROM bootloader on a pseudo terminal, and a simulated board whose console is a port."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lives.kit import MICROPYTHON, SERIAL, Foundry
from mock_rom import Rom
from thermokeeper.board.link import Link
from thermokeeper.demo.workshop import PRODUCT
from thermokeeper.formats import factory_record
from thermokeeper.formats.partitions import table_for
from thermokeeper.release.builder import read_release
from thermokeeper.release.filesystem import unpack
from thermokeeper.simulator.board import Event
from thermokeeper.simulator.port import BoardOnPort, Port
from thermokeeper.simulator.world import World


@pytest.fixture
def rom() -> Iterator[Callable[..., Rom]]:
    """`rom("esp32", fills=0xA5)`: a chip that waits in its bootloader, its flash full of something."""
    made: list[Rom] = []

    def make(chip: str, fills: int = 0) -> Rom:
        made.append(Rom(chip, fills))
        return made[-1]

    yield make
    for one in made:
        one.close()


class Bench:
    """A simulated board that is on, and what it has said so far."""

    def __init__(self, flash: Path) -> None:
        self.port = Port()
        self.board = BoardOnPort(flash, self.port, World())
        self.events: list[Event] = []
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self.board.play, args=(self._heard,), daemon=True)
        self._thread.start()

    def _heard(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    @property
    def said(self) -> list[str]:
        return [event.text for event in list(self.events) if event.kind == "console"]

    def says(self, text: str, after: int = 0, within_s: float = 60) -> int:
        """Wait until the board has said it, behind the event number `after`; the number of that event."""

        def found() -> int | None:
            return next((n for n, event in enumerate(self.events) if n >= after and text in event.text), None)

        with self._changed:
            assert self._changed.wait_for(lambda: found() is not None, within_s), (text, self.said[-20:])
            number = found()
        assert number is not None
        return number

    def off(self) -> None:
        """Switch the power off."""
        self.board.power_off()
        self._thread.join(120)
        assert not self._thread.is_alive(), "it would go on with a flash that is taken away"

    def close(self) -> None:
        self.off()
        self.port.close()


@pytest.fixture(scope="session")
def foundry(tmp_path_factory: pytest.TempPathFactory) -> Foundry:
    """Releases and images, made once."""
    return Foundry(tmp_path_factory.mktemp("foundry"))


@pytest.fixture
def flash(foundry: Foundry, tmp_path: Path) -> Path:
    """The flash of a board with release 1.0.0, whose server doesn't answer."""
    path = tmp_path / "flash.bin"
    data = bytearray(foundry.flash(foundry.release("1.0.0", MICROPYTHON.source)))
    record = factory_record.pack(SERIAL, PRODUCT, "http://127.0.0.1:9", plain_http=True, period_s=1)
    start = table_for("4MiB")["factory"].offset
    data[start : start + len(record)] = record
    path.write_bytes(data)
    return path


@pytest.fixture
def bench_with(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], Bench]]:
    """`bench_with(flash)`: a board on a port, up and measuring."""
    monkeypatch.setattr(Link, "settle_s", 1)  # the simulated port lets one Ctrl-C through in a second
    made: list[Bench] = []

    def make(flash: Path) -> Bench:
        made.append(Bench(flash))
        made[-1].says("tk: reading")
        return made[-1]

    yield make
    for bench in made:
        bench.close()


@pytest.fixture
def bench(bench_with: Callable[[Path], Bench], flash: Path) -> Bench:
    """A board on a port, up and measuring."""
    return bench_with(flash)


@pytest.fixture
def lib(tmp_path: Path, foundry: Foundry) -> Path:
    """A developer's copy of lib/, with boot.py and main.py beside it: just what release 1.0.0 holds."""
    project = Path(__file__).resolve().parents[3]
    shutil.copytree(project / "lib", tmp_path / "mine/lib", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("boot.py", "main.py"):
        shutil.copy(project / name, tmp_path / "mine")
    release = unpack(read_release(foundry.release("1.0.0", MICROPYTHON.source)).fs)
    (tmp_path / "mine/lib/thermometer/edition.txt").write_bytes(release["thermometer/edition.txt"])
    return tmp_path / "mine/lib"
