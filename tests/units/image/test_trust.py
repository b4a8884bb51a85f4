"""What an image brings for https, and that it can be made of a compressed release."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import authorities
from authorities import DAY
from keeper.factory import identity
from release_support import CREATED, tool
from thermokeeper.errors import ToolError
from thermokeeper.image.describe import describe
from thermokeeper.release.builder import read_release

SERIAL = "THERM00000000000001"
FACTORY = 0x3B0000

# Reads a factory record and gives its CA to the device's own code, as keeper.device does.
LOAD = """
import sys
from keeper.factory import identity
from keeper.trusting.tls import trusting
block = bytearray(4096)
file = open(sys.argv[1], "rb")
file.seek(int(sys.argv[2]))
file.readinto(block)
print(type(trusting(identity.parse(block).extra["ca"])).__name__)
"""


def build(product: Path, out: Path, /, *more: object, **changes: object) -> str:
    options = {
        "firmware": product / "firmware.bin",
        "release": product / "signed.tkr",
        "serial": SERIAL,
        "server": "https://things.example.com",
        "vfs": product,
        "out": out,
        **changes,
    }
    return tool("image", "build", *(part for name in options for part in (f"--{name}", options[name])), *more)


@pytest.mark.parametrize("count", [1, 2])
def test_the_ca_goes_into_the_factory_record_as_text_that_a_device_takes(
    product: Path, tmp_path: Path, count: int
) -> None:
    found = [authorities.certificate(f"house {number}") for number in range(count)]
    (tmp_path / "ca.pem").write_bytes(b"# ours\r\n" + authorities.pem(*found))
    build(product, tmp_path / "f.bin", "--ca", tmp_path / "ca.pem")
    data = (tmp_path / "f.bin").read_bytes()
    assert identity.parse(data[FACTORY : FACTORY + 4096]).extra["ca"] == authorities.pem(*found).decode()
    lib = Path(identity.__file__).resolve().parents[2]
    done = subprocess.run(
        [Path(sys.executable).with_name("micropython"), "-c", LOAD, "f.bin", str(FACTORY)],
        cwd=tmp_path,
        env={"MICROPYPATH": f".frozen:{lib}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "SSLContext\n", done.stderr
    assert "ca=CN=house 0 until " in tool("image", "inspect", tmp_path / "f.bin")
    about = json.loads(tool("image", "inspect", "--json", tmp_path / "f.bin"))["factory"]
    assert about["ca"].count("until") == count


def test_a_ca_in_der_becomes_text_too(product: Path, tmp_path: Path) -> None:
    found = authorities.certificate()
    (tmp_path / "ca.der").write_bytes(authorities.der(found))
    build(product, tmp_path / "f.bin", "--ca", tmp_path / "ca.der")
    data = (tmp_path / "f.bin").read_bytes()
    assert identity.parse(data[FACTORY : FACTORY + 4096]).extra["ca"] == authorities.pem(found).decode()


def test_a_ca_that_a_device_could_not_use_is_refused(product: Path, tmp_path: Path) -> None:
    leaf = authorities.write(tmp_path / "leaf.pem", authorities.certificate(is_ca=False))
    old = authorities.write(tmp_path / "old.pem", authorities.certificate(begins=-9 * DAY, ends=-DAY))
    many = authorities.write(tmp_path / "many.pem", *[authorities.certificate(f"ca {n}") for n in range(9)])
    for path, reason in (
        (leaf, "isn't a CA"),
        (old, "expired on"),
        (many, "leave something out"),
        (product / "boot.py", "isn't a certificate"),
    ):
        with pytest.raises(ToolError, match=reason):
            build(product, tmp_path / "f.bin", "--ca", path)
    assert not (tmp_path / "f.bin").exists()


def test_an_https_server_without_any_ca_is_warned_of(product: Path, tmp_path: Path) -> None:
    ca = authorities.write(tmp_path / "ca.pem", authorities.certificate())
    assert "the board can reach no https server" in build(product, tmp_path / "f.bin")
    assert "warning" not in build(product, tmp_path / "f.bin", "--ca", ca)
    assert "warning" not in build(product, tmp_path / "f.bin", "--plain-http", server="http://things.example.com")
    tool(
        *("release", "build", "--app", product / "firmware.bin", "--lib", product / "lib", "--product", "thermometer"),
        *("--version", "1", "--trust", product / "key.pub.pem", "--ca", ca, "--out", tmp_path / "r.tkr"),
    )
    assert "warning" not in build(product, tmp_path / "f.bin", "--unsigned-ok", release=tmp_path / "r.tkr")


def test_a_compressed_release_lies_plain_in_the_image_and_inspects_the_same(product: Path, tmp_path: Path) -> None:
    path = tmp_path / "packed.tkr"
    tool(
        *("release", "build", "--app", product / "firmware.bin", "--lib", product / "lib", "--product", "thermometer"),
        *("--version", "1.0.0", "--trust", product / "key.pub.pem", "--created", CREATED, "--compress", "--out", path),
    )
    tool("release", "sign", "--key", product / "key.pem", path)
    packed, plain = read_release(path), read_release(product / "signed.tkr")
    assert (packed.app, packed.fs) == (plain.app, plain.fs)
    assert path.stat().st_size == packed.manifest.file_size < plain.manifest.file_size
    assert packed.manifest.slot_size == plain.manifest.slot_size
    text = tool("release", "inspect", "--trust", product / "key.pub.pem", path)
    assert f"{packed.manifest.app.size} bytes, {packed.manifest.app.stored} in the file, SHA-256" in text
    build(product, tmp_path / "f.bin", release=path)
    data = (tmp_path / "f.bin").read_bytes()
    assert data[0x10000 : 0x10000 + packed.manifest.slot_size] == packed.slot()
    assert describe(data)["slots"]["ota_0"]["digest"] == packed.manifest.digest
    broken = bytearray(path.read_bytes())
    broken[4110] ^= 1
    (tmp_path / "broken.tkr").write_bytes(broken)
    for content, reason in (
        (broken, "part app: a compressed part is damaged|the hash of its part app"),
        (path.read_bytes()[:-1], "cut off"),
        (path.read_bytes() + b"x", "too long"),
    ):
        (tmp_path / "broken.tkr").write_bytes(content)
        for command in (("release", "inspect"), ("release", "sign", "--key", product / "key.pem")):
            with pytest.raises(ToolError, match=reason):
                tool(*command, tmp_path / "broken.tkr")
        with pytest.raises(ToolError, match=reason):
            build(product, tmp_path / "g.bin", release=tmp_path / "broken.tkr")
    assert not (tmp_path / "g.bin").exists()
