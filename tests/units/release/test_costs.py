"""`release build` says what a release costs a board's memory and its network, and warns of too much."""

from __future__ import annotations

from pathlib import Path

import pytest

from keeper.release import HEADER_SIZE
from release_support import tool
from thermokeeper.errors import ToolError
from thermokeeper.files import PROJECT
from thermokeeper.release import budget, commands, costs
from thermokeeper.release.application import merged_files
from thermokeeper.release.builder import read_release
from thermokeeper.release.weighing import Weights, weigh


@pytest.fixture(scope="module")
def weights() -> Weights:
    return weigh(merged_files(PROJECT / "lib")[0])


def test_every_module_of_ours_is_weighed(weights: Weights) -> None:
    assert not weights.failed
    assert all(size > 0 for size in weights.own.values()), weights.own


def test_what_comes_along_is_counted_once(weights: Weights) -> None:
    loaded = weights.loaded("keeper.reusing")
    assert {"keeper.reusing", "keeper.inflating", "keeper"} <= loaded
    assert weights.of("keeper.reusing", "keeper.inflating") == sum(weights.own[name] for name in loaded)


def test_our_own_release_is_within_the_budget_and_its_largest_modules_are_named(weights: Weights) -> None:
    told, warned = costs.memory_lines(weights)
    assert not warned
    assert "of 65 KB of heap when idle, keeper.talking" in told[0]


def test_a_product_that_keeps_too_much_is_warned_of(tmp_path: Path) -> None:
    files = merged_files(PROJECT / "lib")[0] | {"shop/table.py": b"TABLE = " + repr("x" * 20_000).encode()}
    files["shop/app.py"] = b"import shop.table\nimport thermometer.app\nimport keeper.services.gadgetkeeper\n"
    told, warned = costs.memory_lines(weigh(files))
    assert len(warned) == 1 and "too little memory" in warned[0] and "docs/memory.md" in warned[0]
    assert "shop.table" in told[0]


def test_a_module_that_can_t_be_imported_here_is_named() -> None:
    weights = weigh({"shop/app.py": b"import camera\n", "shop/pins.py": b"from machine import Pin\nPin(3)\n"})
    assert weights.failed.keys() == {"shop.app"}
    assert "shop.app can't be weighed here: " in costs.memory_lines(weights)[1][0]


def test_the_idle_estimate_is_what_is_counted(weights: Weights) -> None:
    """campaigns/budget counts 59.0 KB in a 32-bit MicroPython: an estimate may be 5 % off."""
    always = weights.of("thermometer.app", "keeper.services.gadgetkeeper")
    assert abs(budget.MAIN + always + budget.OBJECTS - 59_000) < 3_000


def build(product: Path, out: Path, *more: str) -> str:
    return tool(
        *("release", "build", "--app", product / "firmware.bin", "--lib", product / "lib", "--product", "thermometer"),
        *("--version", "2.0.0", "--no-trust", "--out", out, *more),
    )


def test_build_tells_what_new_python_code_is_to_download(product: Path, tmp_path: Path) -> None:
    for more, hint in (((), "with --compress only what has changed"), (("--compress",), "from an earlier release")):
        text = build(product, tmp_path / "two.tkr", *more)
        line = next(line for line in text.splitlines() if line.startswith("all Python code"))
        manifest = read_release(tmp_path / "two.tkr").manifest
        assert f"{2 * HEADER_SIZE + manifest.fs.stored} bytes to download" in line
        assert line.endswith(hint)


def test_a_release_that_can_t_be_weighed_is_built_all_the_same(
    product: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(files: object) -> Weights:
        raise ToolError("the release's modules can't be weighed: no MicroPython")

    monkeypatch.setattr(commands, "weigh", fail)
    assert "warning: the release's modules can't be weighed" in build(product, tmp_path / "two.tkr")
    assert read_release(tmp_path / "two.tkr").manifest.version == "2.0.0"
