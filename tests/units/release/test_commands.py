"""`thermokeeper release`: what it makes is right, repeats, and runs on MicroPython; wrong input is named."""

import json
import shutil
import stat
from pathlib import Path

import pytest

import images
import releases
from keeper import release
from release_support import CREATED, MOUNT, micropython, tool
from thermokeeper.errors import ToolError
from thermokeeper.release import application, filesystem
from thermokeeper.release.builder import read_release
from thermokeeper.release.firmware import read_firmware
from thermokeeper.release.stock import stock_firmware


def build(product: Path, out: Path, *more: object, app: Path | None = None, lib: Path | None = None) -> str:
    return tool(
        *("release", "build", "--app", app or product / "firmware.bin", "--lib", lib or product / "lib"),
        *("--product", "thermometer", "--version", "1.0.0", "--out", out),
        *(more or ("--trust", product / "key.pub.pem", "--created", CREATED)),
    )


def test_the_same_input_gives_the_same_bytes(product: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lib = tmp_path / "elsewhere" / "lib"
    shutil.copytree(product / "lib", lib)
    for name in ("boot.py", "main.py"):
        shutil.copy(product / name, lib.parent)
    build(product, tmp_path / "a.tkr", lib=lib)
    assert (tmp_path / "a.tkr").read_bytes() == (product / "unsigned.tkr").read_bytes()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1795291998")
    build(product, tmp_path / "b.tkr", "--trust", product / "key.pub.pem", app=product / "app.app-bin")
    assert (tmp_path / "b.tkr").read_bytes() == (product / "unsigned.tkr").read_bytes()


def test_a_changed_lib_changes_the_file_system_and_leaves_the_app(product: Path, tmp_path: Path) -> None:
    shutil.copytree(product / "lib", tmp_path / "lib")
    (tmp_path / "lib/thermometer/__init__.py").write_text("NAME = 'second'\n")
    build(product, tmp_path / "two.tkr", lib=tmp_path / "lib")
    one, two = read_release(product / "unsigned.tkr"), read_release(tmp_path / "two.tkr")
    assert one.app == two.app and one.manifest.fs.sha256 != two.manifest.fs.sha256


@pytest.mark.parametrize("source", [False, True])
def test_micropython_mounts_the_file_system_read_only_and_imports_from_it(
    product: Path, tmp_path: Path, source: bool
) -> None:
    more = ["--trust", product / "key.pub.pem", "--source" if source else "--no-merge"]
    build(product, tmp_path / "r.tkr", *more)
    found = read_release(tmp_path / "r.tkr")
    offset = release.HEADER_SIZE + found.manifest.app.size
    said = micropython(
        MOUNT + "import os, trust, keeper, thermometer.inner.table as table\n"
        f"print(trust.KEYS == {releases.KEYS!r}, keeper.NAME, len(table.LONG))\n"
        "print(open('/release/thermometer/notes.txt').read().strip(), os.statvfs('/release')[2], keeper.__file__)\n"
        "try:\n    open('/release/new', 'w')\nexcept OSError as error:\n    print('read-only', error.errno)\n",
        *(tmp_path / "r.tkr", offset, len(found.fs)),
    )
    suffix = "py" if source else "mpy"
    assert said.splitlines() == [
        "True keeper 9000",
        f"an asset {len(found.fs) // 4096} /release/keeper/__init__.{suffix}",
        "read-only 30",
    ]


def test_the_file_system_is_the_smallest_that_holds_the_files(product: Path) -> None:
    fs = read_release(product / "signed.tkr").fs
    files = filesystem.unpack(fs)
    assert fs[8:16] == b"littlefs" and fs[20:24] == b"\0\0\2\0"  # disk version 2.0: older MicroPython mounts it
    with pytest.raises(ToolError, match="don't fit"):
        filesystem.pack(files, len(fs) - 4096)
    for count in range(0, 60, 7):
        files = {f"folder{i % 5}/file{i}": bytes([i]) * (i * 300) for i in range(count)}
        packed = filesystem.pack_smallest(files)
        assert filesystem.unpack(packed) == files
        assert packed == filesystem.pack_smallest(dict(reversed(files.items())))


def test_a_folder_without_boot_files_beside_it_is_said(product: Path, tmp_path: Path) -> None:
    shutil.copytree(product / "lib", tmp_path / "lib")
    told = f"note: no boot.py and main.py beside {tmp_path / 'lib'}: boards keep those that they have"
    assert told in build(product, tmp_path / "r.tkr", lib=tmp_path / "lib")
    assert "no boot.py" not in build(product, tmp_path / "r.tkr")


def test_compiled_files_name_no_path_of_this_machine(product: Path) -> None:
    fs = read_release(product / "signed.tkr").fs
    assert str(product).encode() not in fs and b"/tmp" not in fs and b"thermometer.inner" in fs


def test_real_firmware_becomes_a_release_whose_app_esptool_accepts(product: Path, tmp_path: Path) -> None:
    for path in stock_firmware():
        firmware = read_firmware(path)
        assert firmware.chip == "esp32" and len(firmware.application) == path.stat().st_size - 0xF000
        assert (firmware.interpreter or "").startswith("MicroPython v1.1")
        said = build(product, tmp_path / "real.tkr", app=path)
        assert "a real board needs 1.25 or later" in said
        (tmp_path / "app.bin").write_bytes(read_release(tmp_path / "real.tkr").app)
        assert esptool_image_info(tmp_path / "app.bin")
        assert release.parse((tmp_path / "real.tkr").read_bytes()[:4096]).slot_size <= 0x1D0000


def esptool_image_info(path: Path) -> bool:
    """Whether esptool's image-info finds an image with a right checksum and hash."""
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "esptool", "image-info", path], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode == 0 and "(valid)" in done.stdout and "invalid" not in done.stdout


@pytest.mark.parametrize(
    ("size", "flash_size", "expected"),
    [
        (1_700_000, "4MiB", ()),
        (1_720_000, "4MiB", ("takes 17", "of the 1900544 bytes of a slot on 4MiB flash, 90.5%")),
        (1_897_000, "4MiB", ("99.8%", "the release needs a slot of", "it doesn't fit")),
        (1_897_000, "8MiB", ()),
        (2_900_000, "8MiB", ("of the 3145728 bytes of a slot on 8MiB flash, 92.2%",)),
    ],
)
def test_an_application_that_has_outgrown_its_slot_is_named(
    product: Path, tmp_path: Path, size: int, flash_size: str, expected: tuple[str, ...]
) -> None:
    (tmp_path / "app.bin").write_bytes(images.application(size))
    options = ("--trust", product / "key.pub.pem", "--flash-size", flash_size)
    said = build(product, tmp_path / "r.tkr", *options, app=tmp_path / "app.bin")
    assert all(part in said for part in expected) and ("warning" in said) == bool(expected)


def test_inspect_shows_signature_parts_and_slots(product: Path) -> None:
    text = tool("release", "inspect", "--trust", product / "key.pub.pem", product / "signed.tkr")
    for part in ("good, by key " + releases.KEY_ID, "MicroPython v1.25.0", "slot of 1900544 bytes", "trust.mpy"):
        assert part in text
    about = json.loads(tool("release", "inspect", "--json", product / "signed.tkr"))
    assert about["signature"]["state"] == "unchecked"
    assert about["digest"] == release.digest((product / "signed.tkr").read_bytes()[:4096])
    assert about["fits"] == {"4MiB": True, "8MiB": True, "16MiB": True}
    assert json.loads(tool("release", "inspect", "--json", product / "unsigned.tkr"))["signature"]["state"] == "none"
    with pytest.raises(ToolError, match="not signed"):
        tool("release", "inspect", "--trust", product / "key.pub.pem", product / "unsigned.tkr")


def test_inspect_with_another_key_says_that_it_is_not_trusted(product: Path, tmp_path: Path) -> None:
    tool("release", "keygen", "--out", tmp_path / "other.pem")
    with pytest.raises(ToolError, match="isn't trusted here"):
        tool("release", "inspect", "--trust", tmp_path / "other.pub.pem", product / "signed.tkr")


def test_signing_again_with_the_same_key_keeps_the_release_what_it_is(product: Path, tmp_path: Path) -> None:
    path = tmp_path / "signed.tkr"
    shutil.copy(product / "signed.tkr", path)
    assert "left as it is" in tool("release", "sign", "--key", product / "key.pem", path)
    assert path.read_bytes() == (product / "signed.tkr").read_bytes()
    tool("release", "keygen", "--out", tmp_path / "other.pem")
    tool("release", "sign", "--key", tmp_path / "other.pem", path)
    assert "good" in tool("release", "inspect", "--trust", tmp_path / "other.pub.pem", path)


def test_a_private_key_is_for_its_owner_only_and_never_replaced(tmp_path: Path) -> None:
    tool("release", "keygen", "--out", tmp_path / "key.pem")
    before = (tmp_path / "key.pem").read_bytes()
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600
    with pytest.raises(ToolError, match="never replaced"):
        tool("release", "keygen", "--out", tmp_path / "key.pem")
    (tmp_path / "key.pub.pem").unlink()
    with pytest.raises(ToolError, match="never replaced"):
        tool("release", "keygen", "--out", tmp_path / "key.pem")
    assert (tmp_path / "key.pem").read_bytes() == before


def test_a_protected_key_signs_with_its_passphrase_only(
    product: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "r.tkr"
    shutil.copy(product / "unsigned.tkr", path)
    tool("release", "keygen", "--passphrase", "--out", tmp_path / "key.pem", answers="open sesame\nopen sesame\n")
    assert b"ENCRYPTED" in (tmp_path / "key.pem").read_bytes()
    with pytest.raises(ToolError, match="passphrase is wrong"):
        tool("release", "sign", "--key", tmp_path / "key.pem", path, answers="wrong\n")
    monkeypatch.setenv("THERMOKEEPER_PASSPHRASE", "open sesame")
    assert "signed" in tool("release", "sign", "--key", tmp_path / "key.pem", path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"hello", "not an ESP32 application image"),
        (b"\xff" * 0x2000, "not an ESP32 application image"),
        (b"\x7fELF" + bytes(100), "not an ESP32 application image"),
        ((GOOD_APP := images.application(20000))[:-100], "cut off"),
        (GOOD_APP[:5000] + b"\0" + GOOD_APP[5001:], "damaged"),
        (images.bootloader(), "a bootloader alone"),
        (images.whole_firmware(GOOD_APP)[:0xF000], "ends before its application"),
        (images.whole_firmware(GOOD_APP)[:-64], "cut off"),
        (images.whole_firmware(GOOD_APP, start=0), "isn't where the esp32 looks"),
        (images.whole_firmware(b"\xff" * 4096), "not an ESP32 application image"),
        (images.application(20000, chip_id=99), "unknown chip"),
    ],
)
def test_a_file_that_is_no_firmware_is_refused_with_the_reason(
    product: Path, tmp_path: Path, content: bytes, reason: str
) -> None:
    (tmp_path / "wrong.bin").write_bytes(content)
    with pytest.raises(ToolError, match=reason) as caught:
        build(product, tmp_path / "out.tkr", app=tmp_path / "wrong.bin")
    assert "wrong.bin" in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "out.tkr").exists()


def test_a_dump_of_a_whole_flash_gives_the_same_application(tmp_path: Path) -> None:
    (tmp_path / "dump.bin").write_bytes(b"\xff" * 0x1000 + images.whole_firmware(GOOD_APP) + b"\xff" * 9000)
    assert read_firmware(tmp_path / "dump.bin").application == GOOD_APP


def test_other_wrong_input_is_refused_with_the_reason(product: Path, tmp_path: Path) -> None:
    out, trust = tmp_path / "out.tkr", ("--trust", product / "key.pub.pem")
    (tmp_path / "bad/keeper").mkdir(parents=True)
    (tmp_path / "bad/thermometer").mkdir()
    (tmp_path / "bad/keeper/__init__.py").write_text("def broken(:\n")
    (tmp_path / "bad/thermometer/__init__.py").write_text("")
    for arguments, options, reason in (
        (("--created", CREATED), {}, "can never be updated"),
        (("--trust", product / "key.pem"), {}, "is a private key"),
        (("--trust", product / "boot.py"), {}, "isn't a public key"),
        ((*trust, "--chip", "esp32s3"), {}, "for the esp32, not for the esp32s3"),
        ((*trust, "--created", "yesterday"), {}, "created"),
        ((*trust, "--version", "a b"), {}, "version"),
        (trust, {"lib": tmp_path / "nothing"}, "isn't a folder"),
        (trust, {"lib": tmp_path}, "no package keeper"),
        (trust, {"lib": tmp_path / "bad"}, "keeper/__init__.py doesn't compile: line 1"),
        (trust, {"app": product / "signed.tkr"}, "is a release file"),
        (trust, {"app": tmp_path}, "is a folder"),
        (trust, {"app": tmp_path / "none"}, "isn't there"),
    ):
        with pytest.raises(ToolError, match=reason) as caught:
            build(product, out, *arguments, **options)
        assert "\n" not in str(caught.value)
    assert not out.exists()


def test_a_wrong_clock_variable_is_named(product: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "soon")
    with pytest.raises(ToolError, match="SOURCE_DATE_EPOCH"):
        build(product, tmp_path / "out.tkr", "--trust", product / "key.pub.pem")


def test_a_damaged_release_file_is_refused_with_the_reason(product: Path, tmp_path: Path) -> None:
    good, path = (product / "signed.tkr").read_bytes(), tmp_path / "r.tkr"
    for content, reason in (
        (good[:-1], "cut off"),
        (good + b"x", "too long"),
        (good[:5000] + b"\1" + good[5001:], "hash of its part app"),
        (good[:-1] + b"\1", "hash of its part fs"),
        (b"x" + good[1:], "not a release"),
        (good[:100], "not a release"),
        (GOOD_APP, "is an ESP32 image"),
        (releases.release_file(b"\0" * 4096, b"\xff" * 8192), "not an ESP32 application image"),
        (releases.release_file(GOOD_APP + bytes(16), b"\xff" * 8192), "something follows"),
    ):
        path.write_bytes(content)
        for command in (("inspect",), ("sign", "--key", product / "key.pem")):
            with pytest.raises(ToolError, match=reason):
                tool("release", *command, path)
        assert path.read_bytes() == content


def test_keys_that_cannot_sign_are_refused(product: Path, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    for name, key in (
        ("short", rsa.generate_private_key(65537, 2048)),
        ("curve", ec.generate_private_key(ec.SECP256R1())),
    ):
        (tmp_path / name).write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
    for path, reason in (
        (tmp_path / "short", "isn't an RSA-3072 key"),
        (tmp_path / "curve", "isn't an RSA key"),
        (product / "key.pub.pem", "is a public key"),
        (product / "boot.py", "isn't a private key"),
    ):
        with pytest.raises(ToolError, match=reason):
            tool("release", "sign", "--key", path, product / "unsigned.tkr")


def test_the_application_list_names_packages_that_exist() -> None:
    packages = application.listed_packages()
    assert packages == ["keeper", "thermometer"]
    assert all((application.PROJECT / "lib" / package / "__init__.py").is_file() for package in packages)
