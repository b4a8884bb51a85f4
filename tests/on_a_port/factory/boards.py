"""Boards for the factory's tests: a flash in a file that refuses what a board refuses, and a console to go with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from keeper import device
from keeper.errors import FactoryError
from keeper.factory import identity
from thermokeeper.errors import ToolError
from thermokeeper.formats.partitions import TABLE_OFFSET, TABLE_SIZE, read_binary
from thermokeeper.image.builder import Piece

FLASH_SIZE = 4 << 20
SECTOR = 4096


def nothing() -> None:
    pass


class FakeBoard:
    """tick: called before and after whatever it does, and in between; a test may end everything there.

    faults: what is wrong with it: "silent", "no sensor", "bit rot", "loose cable" (once).
    """

    def __init__(
        self, path: Path, mac: str, *, name: str = "", tick: Callable[[], None] = nothing, chip: str = "esp32"
    ) -> None:
        self.name = name or f"port-of-{mac}"
        self.path = path
        self.mac = mac
        self.chip = chip
        self.tick = tick
        self.faults: set[str] = set()
        self.writes = 0
        if not path.exists():
            path.write_bytes(b"\xff" * FLASH_SIZE)

    def identify(self, chip: str) -> str:
        self.tick()
        if "silent" in self.faults:
            raise ToolError(f"{self.name}: no chip answers")
        if chip != self.chip:
            raise ToolError(f"{self.name}: this chip is {self.chip}, not {chip}")
        return self.mac

    def write(self, pieces: list[Piece]) -> None:
        self.writes += 1
        with self.path.open("r+b") as flash:
            for piece in pieces:
                self.tick()
                if "loose cable" in self.faults:
                    self.faults.remove("loose cable")
                    raise ToolError(f"{self.name}: no data received")
                if piece.offset % SECTOR or piece.offset + len(piece.data) > FLASH_SIZE:
                    raise ToolError(f"{self.name}: {piece.name} can't be written at {piece.offset:#x}")
                flash.seek(piece.offset)
                flash.write(piece.data + b"\xff" * (-len(piece.data) % SECTOR))
                flash.flush()
        self.tick()

    def read(self, offset: int, size: int) -> bytes:
        self.tick()
        with self.path.open("rb") as flash:
            flash.seek(offset)
            data = bytearray(flash.read(size))
        if "bit rot" in self.faults:
            data[100] ^= 1
        return bytes(data)

    def console(self, limit_s: float) -> Iterator[str]:
        self.tick()
        yield "ets Jul 29 2019 12:21:46"
        try:
            found = self.identity()
        except FactoryError as error:
            yield f"tk: identity: {error}"
            return
        yield f"tk: identity: {found.product}, serial {found.serial}"
        self.tick()
        yield "tk: sensor: no sensor answers" if "no sensor" in self.faults else "tk: reading: 21.13 C"

    def identity(self) -> device.Device:
        """Who the board is, by its flash."""
        flash = self.path.read_bytes()
        if flash.count(0xFF) == len(flash):
            raise FactoryError("blank")
        part = read_binary(flash[TABLE_OFFSET : TABLE_OFFSET + TABLE_SIZE])["factory"]
        return identity.parse(flash[part.offset : part.offset + part.size])

    def serial(self) -> str | None:
        try:
            return str(self.identity().serial)
        except (FactoryError, ToolError):
            return None
