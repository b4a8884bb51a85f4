"""An application signed for Secure Boot v2: its signature sector belongs to it, the header of the release is behind."""

import io
import json
from pathlib import Path

import espsecure
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

import images
from keeper import release
from keeper.errors import ReleaseError
from keeper.imaging import image
from keeper.release import header
from release_support import CREATED, tool
from thermokeeper.errors import ToolError
from thermokeeper.formats.partitions import available_tables
from thermokeeper.image.describe import describe, slot_release
from thermokeeper.release.builder import header_offset, read_release
from thermokeeper.release.firmware import read_firmware, reader

APP = images.padded_application()
SIGNED = APP + images.signature_sector(APP)


@pytest.fixture(autouse=True)
def newer_format(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "FORMAT", 2)


def build(product: Path, out: Path, app: bytes) -> Path:
    out.with_suffix(".bin").write_bytes(app)
    tool(
        *("release", "build", "--app", out.with_suffix(".bin"), "--lib", product / "lib", "--product", "thermometer"),
        *("--version", "1.0.0", "--trust", product / "key.pub.pem", "--created", CREATED, "--out", out),
    )
    tool("release", "sign", "--key", product / "key.pem", out)
    return out


def test_esptool_s_own_signature_is_taken(tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 3072)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    assert len(APP) == image.length(reader(APP), len(APP)) == 0x10000
    path = tmp_path / "signed.app-bin"
    espsecure.sign_secure_boot_v2(
        keyfile=[io.BytesIO(pem)],
        output=str(path),
        append_signatures=False,
        hsm=False,
        hsm_config=None,
        pub_key=[],
        signature=[],
        datafile=NamedBytes(APP),
    )
    data = path.read_bytes()
    assert read_firmware(path).application == data and len(data) == 0x11000
    path.write_bytes(images.whole_firmware(data) + b"\xff" * 4096)
    assert read_firmware(path).application == data


class NamedBytes(io.BytesIO):
    name = "app.bin"


def test_the_release_s_header_lies_behind_the_signature(product: Path, tmp_path: Path) -> None:
    found = read_release(build(product, tmp_path / "secure.tkr", SIGNED))
    assert found.fields["format"] == 2 and found.app == SIGNED
    assert found.manifest.header_offset == 0x11000
    slot = found.slot()
    assert slot[: len(SIGNED)] == SIGNED and slot[0x11000:0x12000] == found.header
    assert header_offset(slot) == 0x11000
    about = json.loads(tool("release", "inspect", "--json", tmp_path / "secure.tkr"))
    assert about["header_offset"] == 0x11000 and about["secure_boot"] is True
    assert "Secure Boot" in tool("release", "inspect", tmp_path / "secure.tkr")


def test_what_is_not_signed_stays_as_it_was(product: Path, tmp_path: Path) -> None:
    for app in (APP, images.application(40000)):
        found = read_release(build(product, tmp_path / "plain.tkr", app + b"\xff" * 4096))
        assert found.fields["format"] == 1 and found.app == app
        assert header_offset(found.slot()) == found.manifest.header_offset == -(-len(app) // 4096) * 4096


def test_a_device_of_the_first_format_refuses_it_on_the_header(
    product: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(product, tmp_path / "secure.tkr", SIGNED)
    monkeypatch.setattr(header, "FORMAT", 1)
    with pytest.raises(ReleaseError, match=r"has format 2, newer than this program knows \(1\)"):
        release.parse((tmp_path / "secure.tkr").read_bytes()[:4096])


def test_a_flash_image_with_it_is_found_whole(product: Path, tmp_path: Path) -> None:
    path = build(product, tmp_path / "secure.tkr", SIGNED)
    tool(
        *("image", "build", "--firmware", product / "firmware.bin", "--release", path, "--serial", "S1", "--vfs"),
        *(product, "--server", "http://things.example.com", "--plain-http", "--out", tmp_path / "flash.bin"),
    )
    flash = (tmp_path / "flash.bin").read_bytes()
    assert describe(flash)["slots"]["ota_0"]["version"] == "1.0.0"
    table = available_tables()["4MiB"]
    assert slot_release(flash, table, "ota_0").digest == read_release(path).manifest.digest


def test_what_is_wrong_with_a_signature_is_said(product: Path, tmp_path: Path) -> None:
    plain = images.application(40000)
    unpadded = plain + b"\xff" * (-len(plain) % 4096)
    other = images.padded_application(2)
    for app, reason in (
        (unpadded + images.signature_sector(unpadded), "wasn't padded to 64 KiB"),
        (SIGNED[:-1], "signature sector is cut off"),
        (SIGNED[:0x10100] + b"\0" + SIGNED[0x10101:], "is damaged, or of another application"),
        (APP + images.signature_sector(other), "is damaged, or of another application"),
    ):
        with pytest.raises(ToolError, match=reason) as caught:
            build(product, tmp_path / "wrong.tkr", app)
        assert "\n" not in str(caught.value) and "wrong.bin" in str(caught.value)
        assert not (tmp_path / "wrong.tkr").exists()
