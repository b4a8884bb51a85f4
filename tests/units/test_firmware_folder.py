"""firmware/ and package.json: one list of files for a release, for freezing and for mip; boards differ by data only."""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path

import pytest

from keeper.imaging import image
from thermokeeper.formats.partitions import FLASH_SIZES
from thermokeeper.release.application import application_files, listed_packages
from thermokeeper.release.firmware import bootloader_offset

ROOT = Path(__file__).resolve().parents[2]
BOARDS = sorted((ROOT / "firmware/boards").glob("THERMOKEEPER_*"))
CHIPS = {"THERMOKEEPER_ESP32": "esp32", "THERMOKEEPER_ESP32S3": "esp32s3", "THERMOKEEPER_ESP32C3": "esp32c3"}


def frozen(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Paths below lib/ that manifest.py freezes, by MicroPython's rules: it is run in its own folder."""
    found: set[str] = set()
    included: list[str] = []

    def package(path: str, files: object = None, base_path: str = ".", opt: int | None = None) -> None:
        assert files is None
        base = Path(base_path).resolve()
        assert base == ROOT / "lib"
        assert (base / path).is_dir()
        found.update(file.relative_to(base).as_posix() for file in (base / path).rglob("*.py"))

    monkeypatch.chdir(ROOT / "firmware")
    source = (ROOT / "firmware/manifest.py").read_text()
    exec(compile(source, "manifest.py", "exec"), {"include": included.append, "package": package})
    assert included == ["$(PORT_DIR)/boards/manifest.py"]
    return found


def test_what_is_frozen_is_what_a_release_holds(monkeypatch):
    release = {path for path in application_files(ROOT / "lib", source=True) if not path.startswith("board/")}
    assert frozen(monkeypatch) == release
    assert {path.split("/")[0] for path in release} == set(listed_packages())


def test_the_list_is_read_not_repeated(monkeypatch):
    text = (ROOT / "firmware/manifest.py").read_text()
    assert not any(package in text.partition('"""\n')[2].rpartition('"""')[2] for package in listed_packages())


def test_each_board_is_a_generic_one_with_our_common_part():
    assert {path.name: CHIPS[path.name] for path in BOARDS} == CHIPS
    texts = set()
    for path in BOARDS:
        assert sorted(os.listdir(path)) == ["mpconfigboard.cmake", "mpconfigboard.h"]
        cmake, header = ((path / name).read_text() for name in ("mpconfigboard.cmake", "mpconfigboard.h"))
        generic = re.search(r"set\(THERMOKEEPER_GENERIC (\w+)\)", cmake)[1]
        assert f'#include "boards/{generic}/mpconfigboard.h"' in header
        name = path.name.removeprefix("THERMOKEEPER_")
        texts.add((cmake + header).replace(generic, "GENERIC").replace(f"Thermokeeper {name}", "NAME"))
    assert len(texts) == 1, "boards differ by data only"


def test_the_common_part_names_files_and_flash_sizes_that_are_there():
    text = (ROOT / "firmware/boards/common.cmake").read_text()
    for name in FLASH_SIZES:
        assert (ROOT / f"firmware/partitions-{name}.csv").is_file()
        assert name in text
    assert (ROOT / "firmware/boards/sdkconfig.thermokeeper").is_file()
    assert "CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE=y" in (ROOT / "firmware/boards/sdkconfig.thermokeeper").read_text()


def test_chips_differ_by_data_only():
    for chip in CHIPS.values():
        assert chip in image.CHIPS.values()
    assert [bootloader_offset(chip) for chip in CHIPS.values()] == [0x1000, 0, 0]
    pins = (ROOT / "lib/thermometer/wiring/pins.py").read_text()
    for path in BOARDS:
        assert f'("{path.name.removeprefix("THERMOKEEPER_")}", ' in pins


# -- mip ---------------------------------------------------------------------------------------------------------------


def test_mip_installs_all_of_keeper_and_nothing_else():
    listed = json.loads((ROOT / "package.json").read_text())
    files = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "lib/keeper").rglob("*.py"))
    assert listed["urls"] == [[path.removeprefix("lib/"), path] for path in files]
    assert listed["deps"] == []


def test_mip_s_version_is_the_project_s():
    with (ROOT / "pyproject.toml").open("rb") as file:
        assert json.loads((ROOT / "package.json").read_text())["version"] == tomllib.load(file)["project"]["version"]
