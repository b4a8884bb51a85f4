"""`--known`: what an update costs from each earlier release, as a device would have it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from keeper.release import HEADER_SIZE
from release_support import CREATED, tool
from thermokeeper.errors import ToolError
from thermokeeper.release.builder import read_release
from thermokeeper.release.compression import fetched_bytes
from thermokeeper.release.known import HEADERS_SIZE

Row = tuple[str, ...]


def make(product: Path, out: Path, version: str, /, *more: object, **changes: object) -> str:
    options = {
        "app": product / "firmware.bin",
        "lib": product / "lib",
        "product": "thermometer",
        "trust": product / "key.pub.pem",
        "created": CREATED,
        "version": version,
        "out": out,
        **changes,
    }
    return tool("release", "build", *(part for name in options for part in (f"--{name}", options[name])), *more)


@pytest.fixture
def shelf(product: Path, tmp_path: Path) -> Path:
    """A folder with release 1.0.0, signed, and 1.1.0 with other Python code."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    shutil.copy(product / "signed.tkr", folder / "thermometer-1.0.0.tkr")
    make(product, folder / "thermometer-1.1.0.tkr", "1.1.0", lib=other_lib(product, tmp_path, "1.1.0"))
    (folder / "notes.txt").write_text("no release")
    return folder


def other_lib(product: Path, folder: Path, name: str) -> Path:
    """The application with a module of its own."""
    lib = folder / name / "lib"
    shutil.copytree(product / "lib", lib)
    for file in ("boot.py", "main.py"):
        shutil.copy(product / file, lib.parent)
    (lib / "thermometer/news.py").write_text(f"NEWS = {name!r}\n")
    return lib


def rows(text: str) -> dict[str, Row]:
    """Version -> (digest, bytes, share, parts) of the table in what a command printed."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("from "))
    found = {}
    for line in lines[start + 1 :]:
        version, digest, size, unit, share, sign, rest = line.split(None, 6)
        assert (unit, sign) == ("bytes", "%")
        found[version] = (digest, size, share, rest)
    return found


def test_build_tells_what_each_earlier_release_would_download(product: Path, tmp_path: Path, shelf: Path) -> None:
    out = shelf / "thermometer-2.0.0.tkr"
    for _ in range(2):  # the second time it is in the folder itself
        text = make(product, out, "2.0.0", "--known", shelf, lib=other_lib(product, tmp_path, "2.0.0"))
        shutil.rmtree(tmp_path / "2.0.0")
        new = read_release(out).manifest
        one = read_release(shelf / "thermometer-1.0.0.tkr").manifest
        share = f"{100 * (HEADERS_SIZE + new.fs.stored) / new.file_size:.0f}"
        expected = (one.digest[:16], str(HEADERS_SIZE + new.fs.stored), share, "fs")
        found = rows(text)
        assert sorted(found) == ["1.0.0", "1.1.0"] and found["1.0.0"] == expected


def test_a_compressed_release_counts_with_what_is_in_its_file(product: Path, tmp_path: Path, shelf: Path) -> None:
    lib = other_lib(product, tmp_path, "2.0.0")
    text = make(product, tmp_path / "two.tkr", "2.0.0", "--compress", "--known", shelf, lib=lib)
    new = read_release(tmp_path / "two.tkr").manifest
    assert new.fs.stored < new.fs.size
    one = read_release(shelf / "thermometer-1.0.0.tkr")
    two = read_release(tmp_path / "two.tkr")
    fetched = fetched_bytes(two.data[-new.fs.stored :], new.fs.size, one.fs)
    assert fetched < new.fs.stored / 2  # most blocks are there already
    assert rows(text)["1.0.0"][1] == str(HEADERS_SIZE + fetched)
    # and it doesn't matter how the earlier one was stored: in a slot everything is plain
    text = make(product, tmp_path / "three.tkr", "3.0.0", "--known", tmp_path / "two.tkr", lib=lib)
    assert rows(text)["2.0.0"][1:] == (str(HEADERS_SIZE), rows(text)["2.0.0"][2], "none")


def test_a_new_application_has_to_be_fetched(product: Path, tmp_path: Path, shelf: Path) -> None:
    import images

    (tmp_path / "new.app-bin").write_bytes(images.application(50_000, fill=0x33))
    known = ("--known", shelf / "thermometer-1.0.0.tkr")
    text = make(product, tmp_path / "two.tkr", "2.0.0", *known, app=tmp_path / "new.app-bin")
    new = read_release(tmp_path / "two.tkr").manifest
    assert rows(text)["1.0.0"][1:] == (str(HEADERS_SIZE + new.app.size), rows(text)["1.0.0"][2], "app")
    text = make(
        product,
        *(tmp_path / "three.tkr", "3.0.0", *known),
        app=tmp_path / "new.app-bin",
        lib=other_lib(product, tmp_path, "3"),
    )
    whole = read_release(tmp_path / "three.tkr").manifest.file_size + HEADER_SIZE  # the header comes twice
    assert rows(text)["1.0.0"][1:] == (str(whole), f"{100 * whole / (whole - HEADER_SIZE):.0f}", "app fs")


def test_a_release_that_devices_would_refuse_is_named_as_such(product: Path, tmp_path: Path, shelf: Path) -> None:
    known = ("--known", shelf / "thermometer-1.0.0.tkr")
    assert "refused: the release is for another product" in make(
        product, tmp_path / "a.tkr", "2.0.0", *known, product="kettle"
    )
    assert "older than 1" in make(product, tmp_path / "b.tkr", "2.0.0", "--security", 0, *known)
    tool("release", "keygen", "--out", tmp_path / "other.pem")
    path = tmp_path / "c.tkr"
    make(product, path, "2.0.0")
    tool("release", "sign", "--key", tmp_path / "other.pem", path)
    assert "isn't trusted here" in tool("release", "inspect", *known, path)
    tool("release", "sign", "--key", product / "key.pem", path)
    assert rows(tool("release", "inspect", *known, path))["1.0.0"][3] == "none"


def test_inspect_tells_it_as_json_and_leaves_the_file_itself_out(product: Path, shelf: Path) -> None:
    path = shelf / "thermometer-1.1.0.tkr"
    about = json.loads(tool("release", "inspect", "--json", "--known", shelf, path))
    manifest = read_release(path).manifest
    assert about["updates"] == [
        {
            "file": str(shelf / "thermometer-1.0.0.tkr"),
            "version": "1.0.0",
            "digest": read_release(shelf / "thermometer-1.0.0.tkr").manifest.digest,
            "download_bytes": HEADERS_SIZE + manifest.fs.size,
            "fetched": ["fs"],
            "refusal": "",
        }
    ]
    assert "updates" not in json.loads(tool("release", "inspect", "--json", path))


def test_what_is_no_earlier_release_is_named_before_anything_is_made(product: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    out = tmp_path / "out.tkr"
    for known, reason in (
        (tmp_path / "none.tkr", "isn't there; give an earlier release file"),
        (product / "firmware.bin", "not a release"),
    ):
        with pytest.raises(ToolError, match=reason):
            make(product, out, "2.0.0", "--known", known)
        assert not out.exists()
    assert "no known release" in make(product, out, "2.0.0", "--known", tmp_path / "empty")
