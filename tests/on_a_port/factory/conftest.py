"""A factory with a batch, made with the real command from a small product."""

from __future__ import annotations

from pathlib import Path

import pytest

import release_support
from thermokeeper.factory.journal import Journal
from thermokeeper.factory.line import Line
from thermokeeper.factory.stock import Stock


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small product: firmware, boot files, a signed release."""
    folder = tmp_path_factory.mktemp("product")
    release_support.write_product(folder)
    private, public = release_support.write_test_key(folder)
    release_support.tool(
        *("release", "build", "--app", folder / "firmware.bin", "--lib", folder / "lib"),
        *("--product", "thermometer", "--version", "1.0.0", "--trust", public),
        *("--created", release_support.CREATED, "--out", folder / "signed.tkr"),
    )
    release_support.tool("release", "sign", "--key", private, folder / "signed.tkr")
    return folder


class Factory:
    """A factory's folder, and the commands in it."""

    def __init__(self, folder: Path, product: Path) -> None:
        self.folder = folder
        self.product = product
        self.said: list[str] = []

    def new(self, batch: str, *options: object, server: str = "https://things.example.com") -> str:
        return self.tool(
            *("new", batch, "--firmware", self.product / "firmware.bin", "--release", self.product / "signed.tkr"),
            *("--vfs", self.product, "--server", server, "--trust", self.product / "key.pub.pem"),
            *("--claim-url", "https://things.example.com/claim/{serial}"),
            *options,
        )

    def tool(self, command: str, *options: object) -> str:
        return release_support.tool("factory", command, "--folder", self.folder, *options)

    @property
    def journal(self) -> Journal:
        return Journal(self.folder)

    def line(self, batch: str) -> Line:
        journal = self.journal
        stock = Stock(self.folder / "batches" / batch, journal.plan(batch))
        return Line(journal, batch, stock, self.folder / "labels" / batch, self.said.append, 1)


@pytest.fixture
def factory(tmp_path: Path, product: Path) -> Factory:
    return Factory(tmp_path / "factory", product)


@pytest.fixture
def pattern() -> str:
    return "THERM{:014d}"
