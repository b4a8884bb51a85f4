"""A small product, built and signed once for this folder's tests; each test that changes files works on a copy."""

import sys
from pathlib import Path

import pytest

import release_support
from thermokeeper.simulator.on_cpython import streams


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the small product, the test key, an unsigned and a signed release file."""
    folder = tmp_path_factory.mktemp("product")
    release_support.write_product(folder)
    private, public = release_support.write_test_key(folder)
    for name in ("unsigned.tkr", "signed.tkr"):
        release_support.tool(
            *("release", "build", "--app", folder / "firmware.bin", "--lib", folder / "lib"),
            *("--product", "thermometer", "--version", "1.0.0", "--trust", public),
            *("--created", release_support.CREATED, "--out", folder / name),
        )
    release_support.tool("release", "sign", "--key", private, folder / "signed.tkr")
    return folder


@pytest.fixture
def deflate(monkeypatch: pytest.MonkeyPatch) -> None:
    """CPython has no module of that name; the simulator's stands for it."""
    modules = streams.modules()
    monkeypatch.setitem(sys.modules, "deflate", modules["deflate"])
