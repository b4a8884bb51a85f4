"""`thermokeeper image`: the flash it makes is what bootloader, MicroPython and our code expect at each offset."""

import hashlib
import json
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

import images
from keeper import release
from keeper.factory import identity
from keeper.imaging import image
from release_support import CREATED, MOUNT, micropython, tool
from thermokeeper.errors import ToolError
from thermokeeper.formats import factory_record, nvs
from thermokeeper.formats.partitions import available_tables, read_binary, read_csv
from thermokeeper.image.describe import describe
from thermokeeper.release.builder import read_release
from thermokeeper.release.stock import stock_firmware

SERIAL = "THERM00000000000001"


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


@pytest.fixture(scope="module")
def flash(product: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("flash") / "flash.bin"
    build(product, path)
    return path.read_bytes()


def test_slot_0_holds_the_release_as_a_device_looks_for_it(product: Path, flash: bytes) -> None:
    found = read_release(product / "signed.tkr")
    slot = flash[0x10000 : 0x10000 + 0x1D0000]

    def read(offset: int, buf: bytearray) -> None:
        buf[:] = slot[offset : offset + len(buf)]

    end = image.check(read, len(slot), "esp32")
    start = -(-end // 4096) * 4096
    manifest = release.parse(slot[start : start + 4096])
    assert start == manifest.header_offset and manifest.digest == found.manifest.digest
    assert slot[:end] == found.app and set(slot[end:start]) <= {0xFF}
    assert slot[manifest.fs_offset : manifest.slot_size] == found.fs
    assert set(slot[manifest.slot_size :]) == {0xFF}


def test_everything_else_is_blank_but_what_belongs_there(flash: bytes) -> None:
    assert len(flash) == 4 << 20
    assert flash[:0x1000] == b"\xff" * 0x1000
    for offset, size in ((0x9000, 0x4000), (0xD000, 0x3000), (0x1E0000, 0x1D0000), (0x3D0000, 0x30000)):
        assert flash[offset : offset + size] == b"\xff" * size
    assert identity.parse(flash[0x3B0000:0x3B1000]).serial == SERIAL


def test_the_bootloader_keeps_a_right_hash_for_each_flash_size(product: Path, tmp_path: Path) -> None:
    for size, code in (("4MiB", 2), ("8MiB", 3), ("16MiB", 4)):
        build(product, tmp_path / "f.bin", "--flash-size", size)
        data = (tmp_path / "f.bin").read_bytes()
        assert len(data) == 4 << 20 << code - 2
        boot = data[0x1000 : 0x1000 + len(images.bootloader())]
        assert boot[3] >> 4 == code and hashlib.sha256(boot[:-32]).digest() == boot[-32:]
        assert describe(data)["slots"]["ota_0"]["version"] == "1.0.0"


@pytest.mark.parametrize(
    ("chip", "number", "offset"),
    [
        ("esp32", 0, 0x1000),
        ("esp32s2", 2, 0x1000),
        ("esp32c3", 5, 0),
        ("esp32s3", 9, 0),
        ("esp32c6", 13, 0),
        ("esp32p4", 18, 0x2000),
        ("esp32c5", 23, 0x2000),
    ],
)
def test_each_chip_s_bootloader_is_where_its_rom_looks(
    product: Path, tmp_path: Path, chip: str, number: int, offset: int
) -> None:
    firmware = tmp_path / "firmware.bin"
    firmware.write_bytes(images.whole_firmware(images.application(9000, number), number, offset))
    tool(
        *("release", "build", "--app", firmware, "--lib", product / "lib", "--product", "thermometer", "--version"),
        *("1", "--created", CREATED, "--trust", product / "key.pub.pem", "--out", tmp_path / "r.tkr"),
    )
    for size, code in (("4MiB", 2), ("8MiB", 3), ("16MiB", 4)):
        options = {"firmware": firmware, "release": tmp_path / "r.tkr"}
        said = build(product, tmp_path / "f.bin", "--unsigned-ok", "--flash-size", size, **options)
        assert f"esptool --chip {chip} write-flash 0x0" in said
        data = (tmp_path / "f.bin").read_bytes()
        original = images.bootloader(number)
        boot = data[offset : offset + len(original)]
        assert set(data[:offset]) <= {0xFF} and boot[:3] == original[:3] and boot[4:-32] == original[4:-32]
        assert boot[3] == code << 4 | original[3] & 15 and hashlib.sha256(boot[:-32]).digest() == boot[-32:]
        assert read_binary(data[0x8000:0x9000]) == available_tables()[size]
        about = describe(data)
        assert about["bootloader"] == {
            "offset": offset,
            "chip": chip,
            "flash_size_mib": 4 << code - 2,
            "rolls_back": True,
        }
        assert about["slots"]["ota_0"]["version"] == "1"


def test_a_bootloader_that_cannot_roll_back_is_refused_but_for_the_simulator(product: Path, tmp_path: Path) -> None:
    for app, warns in ((images.application(9000, version="1.20.0"), False), (images.application(9000), True)):
        (tmp_path / "old.bin").write_bytes(images.whole_firmware(app, rollback=False))
        if warns:  # code and version disagree
            said = build(product, tmp_path / "f.bin", firmware=tmp_path / "old.bin")
            assert "warning: old.bin: its bootloader doesn't show whether it rolls back" in said
        else:
            with pytest.raises(
                ToolError, match=r"old.bin: its bootloader doesn't roll back, .* 1.21 or later"
            ) as caught:
                build(product, tmp_path / "f.bin", firmware=tmp_path / "old.bin")
            assert "\n" not in str(caught.value) and not (tmp_path / "f.bin").exists()
        said = build(product, tmp_path / "f.bin", "--any-bootloader", firmware=tmp_path / "old.bin")
        assert "warning" not in said.replace("warning: neither --ca", "")
    assert "can't roll back" in tool("image", "inspect", tmp_path / "f.bin")


def test_a_real_bootloader_without_rollback_is_refused(product: Path, tmp_path: Path) -> None:
    for path in stock_firmware():
        with pytest.raises(ToolError, match="doesn't roll back"):
            build(product, tmp_path / "f.bin", firmware=path)


def test_a_signed_bootloader_is_left_to_its_own_tools(product: Path, tmp_path: Path) -> None:
    boot = images.bootloader()
    boot += b"\xff" * (-len(boot) % 4096)
    firmware = bytearray(images.whole_firmware(images.application(9000)))
    firmware[len(boot) : len(boot) + 4096] = images.signature_sector(boot)
    (tmp_path / "secure.bin").write_bytes(firmware)
    with pytest.raises(ToolError, match="its bootloader is signed for Secure Boot"):
        build(product, tmp_path / "f.bin", firmware=tmp_path / "secure.bin")


def test_micropython_finds_boot_and_main_in_vfs_by_itself(product: Path, tmp_path: Path) -> None:
    build(product, tmp_path / "f.bin")
    script = MOUNT + "import os; print(sorted(os.listdir('/release')), os.statvfs('/release')[2])"
    said = micropython(script + "; print(open('/release/main.py').read())", tmp_path / "f.bin", 0x3B1000, 124 << 10)
    assert said.splitlines()[:2] == ["['boot.py', 'main.py'] 31", "print('main')"]


def test_a_real_firmware_makes_images_that_esptool_accepts(product: Path, tmp_path: Path) -> None:
    path = stock_firmware()[0]
    tool(
        *("release", "build", "--app", path, "--lib", product / "lib", "--product", "thermometer", "--version", "1"),
        *("--created", CREATED, "--trust", product / "key.pub.pem", "--out", tmp_path / "real.tkr"),
    )
    build(
        product, tmp_path / "f.bin", "--unsigned-ok", "--any-bootloader", firmware=path, release=tmp_path / "real.tkr"
    )
    data = (tmp_path / "f.bin").read_bytes()
    assert data[0x1000:0x8000] == path.read_bytes()[:0x7000]  # 4 MiB is what it had: kept as it is
    for name, offset in (("bootloader", 0x1000), ("app", 0x10000)):
        (tmp_path / name).write_bytes(data[offset : offset + 0x1D0000])
        done = subprocess.run(
            [sys.executable, "-m", "esptool", "image-info", tmp_path / name],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0 and done.stdout.count("(valid)") == 2, done.stdout + done.stderr


def test_the_partition_tables_have_the_form_that_esp_idf_reads(flash: bytes) -> None:
    table = available_tables()["4MiB"]
    binary = flash[0x8000:0x9000]
    assert binary == table.pack()
    rows = len(table.partitions) * 32
    assert binary[rows : rows + 32] == b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(binary[:rows]).digest()
    assert struct.unpack_from("<2sBBII16sI", binary, 3 * 32) == (
        *(b"\xaa\x50", 0, 0x10, 0x10000, 0x1D0000, b"ota_0".ljust(16, b"\0"), 0),
    )
    assert read_binary(binary) == table


def test_all_tables_have_two_equal_slots_and_end_inside_the_flash() -> None:
    tables = available_tables()
    assert sorted(tables) == ["16MiB", "4MiB", "8MiB"]
    for size, table in tables.items():
        assert table["ota_0"].size == table["ota_1"].size
        assert table["nvs"].offset == 0x9000 and table["otadata"].size == 0x2000
        assert table["factory"].size == 4096
        assert table["vfs"].size == {"4MiB": 124, "8MiB": 956, "16MiB": 1980}[size] << 10
        assert max(part.offset + part.size for part in table.partitions.values()) <= int(size[:-3]) << 20


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("x, data, 0x50, 0x1000, 4K", "overlaps"),
        ("nvs, data, nvs, 0x9000, 4K", "overlaps"),
        ("x, data, 0x50, 0x3FF000, 8K", "behind the end"),
        ("x, app, ota_2, 0x3F8000, 4K", "erased or mapped"),
        ("x, data, 0x50, 0x3FF000, 100", "erased or mapped"),
        ("x, data, 0x50, here, 4K", "isn't a number"),
        ("x, data, 0x50", "a row is"),
        ("x, code, 0x50, 0x3FF000, 4K", "a row is"),
        ("a_name_of_16_chars, data, 0x50, 0x3FF000, 4K", "a row is"),
    ],
)
def test_a_wrong_row_of_a_table_is_named(tmp_path: Path, row: str, reason: str) -> None:
    text = "nvs, data, nvs, 0x9000, 16K\n# note\n\n" + row + "\n"
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ToolError, match=reason) as caught:
        read_csv(tmp_path / "t.csv", 4 << 20)
    assert "line 4" in str(caught.value)


def test_a_table_without_our_partitions_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("nvs, data, nvs, 0x9000, 16K\n")
    with pytest.raises(ToolError, match="no partition otadata"):
        read_csv(tmp_path / "t.csv", 4 << 20)


def test_wifi_networks_come_as_a_blob_in_nvs_of_version_2(product: Path, tmp_path: Path) -> None:
    build(
        product, tmp_path / "f.bin", "--wifi", "home:secret-key", "--wifi", "caf\u00e9\\: free", "--wifi", "a:b:cdefgh"
    )
    data = (tmp_path / "f.bin").read_bytes()[0x9000:0xD000]
    expected = [
        {"ssid": "home", "key": "secret-key"},
        {"ssid": "caf\u00e9: free", "key": ""},
        {"ssid": "a", "key": "b:cdefgh"},
    ]
    assert data[:4] == b"\xfe\xff\xff\xff" and data[8] == 0xFE  # page in use, format version 2
    assert nvs_blob(data, "wifi", "networks") == json.dumps(expected, separators=(",", ":")).encode()
    assert data[0x1000:] == b"\xff" * 0x3000
    build(
        product, tmp_path / "g.bin", "--wifi", "home:secret-key", "--wifi", "caf\u00e9\\: free", "--wifi", "a:b:cdefgh"
    )
    assert (tmp_path / "f.bin").read_bytes() == (tmp_path / "g.bin").read_bytes()


def nvs_blob(page: bytes, namespace: str, key: str) -> bytes:
    """A blob of one chunk from one NVS page, read after ESP-IDF's description of the format."""
    index, position = None, 64
    while page[position] != 0xFF:
        space, kind, span = page[position], page[position + 1], page[position + 2]
        name = page[position + 8 : position + 24].rstrip(b"\0").decode()
        if space == 0 and name == namespace:
            index = page[position + 24]
        if kind == 0x42 and space == index and name == key:
            size = struct.unpack_from("<H", page, position + 24)[0]
            return page[position + 32 : position + 32 + size]
        position += 32 * span
    raise AssertionError("the blob isn't there")


def test_parts_are_the_same_bytes_as_the_image(product: Path, tmp_path: Path) -> None:
    said = build(product, tmp_path / "f.bin", "--parts", tmp_path / "parts")
    assert f"esptool --chip esp32 write-flash 0x0 {tmp_path}/f.bin" in said
    data = bytearray(b"\xff" * (4 << 20))
    words = said.splitlines()[-1].split("write-flash ")[1].split()
    for offset, path in zip(words[::2], words[1::2], strict=True):
        part = Path(path).read_bytes()
        data[int(offset, 16) : int(offset, 16) + len(part)] = part
    assert bytes(data) == (tmp_path / "f.bin").read_bytes()
    assert "ota_1.bin" not in said
    assert "otadata.bin" in words[1::2][3]  # an old one would boot the slot that it names


def test_inspect_tells_what_is_in_an_image(product: Path, tmp_path: Path) -> None:
    build(product, tmp_path / "f.bin")
    text = tool("image", "inspect", tmp_path / "f.bin")
    for part in (
        "esp32 at 0x1000, for 4 MiB, rolls back",
        SERIAL,
        "thermometer 1.0.0, signed",
        "ota_1        blank",
        "boot.py (14 bytes)",
    ):
        assert part in text
    about = json.loads(tool("image", "inspect", "--json", tmp_path / "f.bin"))
    assert about["otadata"] == [None, None]
    assert about["slots"]["ota_0"]["digest"] == read_release(product / "signed.tkr").manifest.digest


def test_inspect_shows_the_settings_and_that_there_are_secrets(product: Path, tmp_path: Path) -> None:
    token = "a-token-that-nobody-may-see"
    build(product, tmp_path / "f.bin", "--set", "period_s=7", "--set", f"token={token}")
    for said in (tool("image", "inspect", tmp_path / "f.bin"), tool("image", "inspect", "--json", tmp_path / "f.bin")):
        assert "period_s" in said and "token" in said and "(not shown)" in said and token not in said


def test_inspect_reads_a_flash_that_has_lived(tmp_path: Path, flash: bytes) -> None:
    data = bytearray(flash)
    data[0xD000:0xD020] = struct.pack("<I20xII", 1, 2, 0x4743989A)  # as a bootloader writes it at the first boot
    data[0xE000:0xE020] = struct.pack("<I20xII", 2, 77, 5)
    data[0x3B0000:0x3B3000] = bytes(0x3000)
    data[0x1E0000:0x1E1000] = bytes(4096)
    about = describe(bytes(data))
    assert about["otadata"][0] == {"sequence": 1, "slot": "ota_0", "state": "valid", "crc_right": True}
    assert about["otadata"][1] == {"sequence": 2, "slot": "ota_1", "state": "unknown (77)", "crc_right": False}
    assert "no factory record" in about["factory"]["error"] and "LittleFS2" in about["vfs"]["error"]
    assert about["slots"]["ota_1"]["state"] == "no release"
    (tmp_path / "f.bin").write_bytes(data)
    assert "its CRC is wrong" in tool("image", "inspect", tmp_path / "f.bin")


def test_inspect_refuses_what_is_no_flash_image(product: Path, tmp_path: Path, flash: bytes) -> None:
    (tmp_path / "cut.bin").write_bytes(flash[: 1 << 20])
    for path, reason in (
        (product / "signed.tkr", "no right partition table"),
        (product / "boot.py", "no right partition table"),
        (tmp_path / "cut.bin", "cut off"),
        (tmp_path / "none.bin", "isn't there"),
    ):
        with pytest.raises(ToolError, match=reason) as caught:
            tool("image", "inspect", path)
        assert "\n" not in str(caught.value) and path.name in str(caught.value)


def test_wrong_input_is_refused_with_the_reason_and_the_file(product: Path, tmp_path: Path) -> None:
    (tmp_path / "s3.bin").write_bytes(images.whole_firmware(images.application(9000, 9), 9, 0))
    shutil.copy(product / "firmware.bin", tmp_path / "fw.bin")
    for more, changes, reason in (
        ((), {"firmware": product / "app.app-bin"}, "app.app-bin is an application without a bootloader"),
        ((), {"firmware": product / "signed.tkr"}, "signed.tkr is a release file, not a MicroPython firmware"),
        ((), {"release": product / "firmware.bin"}, "firmware.bin is an ESP32 image, not a release file"),
        ((), {"release": product / "unsigned.tkr"}, "isn't signed"),
        ((), {"firmware": tmp_path / "s3.bin"}, "s3.bin is for the esp32s3, the release .*signed.tkr for the esp32"),
        ((), {"serial": ""}, "serial"),
        ((), {"serial": "A B"}, "serial"),
        ((), {"serial": "X" * 65}, "serial"),
        ((), {"server": "http://127.0.0.1:8000"}, "add --plain-http"),
        ((), {"server": "ftp://x"}, "server"),
        ((), {"product": "kettle"}, "another product"),
        ((), {"vfs": tmp_path}, "boot.py isn't there"),
        (("--wifi", ""), {}, "1 to 32 bytes"),
        (("--wifi", "home:short"), {}, "8 to 63"),
        (("--wifi", "home") * 9, {}, "networks are the limit"),
    ):
        with pytest.raises(ToolError, match=reason) as caught:
            build(product, tmp_path / "f.bin", *more, **changes)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "f.bin").exists()


def test_a_release_too_large_for_the_slot_is_refused(product: Path, tmp_path: Path) -> None:
    (tmp_path / "big.app-bin").write_bytes(images.application(0x1D0000 - 4096))
    tool(
        *("release", "build", "--app", tmp_path / "big.app-bin", "--lib", product / "lib", "--product", "thermometer"),
        *("--version", "1", "--trust", product / "key.pub.pem", "--out", tmp_path / "big.tkr"),
    )
    with pytest.raises(ToolError, match=r"needs a slot of [0-9]+ bytes, there are 1900544"):
        build(product, tmp_path / "f.bin", "--unsigned-ok", release=tmp_path / "big.tkr")
    build(product, tmp_path / "f.bin", "--unsigned-ok", "--flash-size", "8MiB", release=tmp_path / "big.tkr")


def test_trust_refuses_a_release_by_another_key(product: Path, tmp_path: Path) -> None:
    build(product, tmp_path / "f.bin", "--trust", product / "key.pub.pem")
    tool("release", "keygen", "--out", tmp_path / "other.pem")
    with pytest.raises(ToolError, match="isn't trusted"):
        build(product, tmp_path / "f.bin", "--trust", tmp_path / "other.pub.pem")


def test_a_factory_record_is_read_back_by_the_device() -> None:
    record = factory_record.pack(
        SERIAL, "thermometer", "http://127.0.0.1:1", "hawkbit", plain_http=True, token="t" * 99
    )
    assert len(record) == 4096
    found = identity.parse(record)
    assert (found.serial, found.service, found.extra["token"]) == (SERIAL, "hawkbit", "t" * 99)
    with pytest.raises(ToolError, match="leave something out"):
        factory_record.pack(SERIAL, "thermometer", "https://x", ca="c" * 5000)


def test_a_token_and_a_uuid_are_what_the_device_takes(product: Path, tmp_path: Path) -> None:
    dms = ("--service", "gecko_dms", "--set")
    build(product, tmp_path / "f.bin", *dms, "token=12345678901234567890123456789012")
    found = identity.parse((tmp_path / "f.bin").read_bytes()[0x3B0000:0x3B1000])
    assert (found.service, found.extra["token"]) == ("gecko_dms", "12345678901234567890123456789012")
    for member in ("token=not one", "uuid=6FA1C0DE-2c4b-8d1e-9a30-0d2b5e7f9c11", "uuid=12"):
        with pytest.raises(ToolError, match=f"a device wouldn't accept this: factory record: {member[:4]}"):
            build(product, tmp_path / "f.bin", *dms, member)


def test_networks_that_do_not_fit_are_refused() -> None:
    networks = [{"ssid": "s" * 32, "key": "k" * 63}] * 8
    assert len(nvs.pack(networks, 0x4000)) == 0x4000
    assert nvs.pack([], 0x4000) == b"\xff" * 0x4000
