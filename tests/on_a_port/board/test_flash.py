"""`thermokeeper flash`: esptool writes an image to a chip's ROM bootloader on a pseudo terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import serial

from release_support import CREATED, tool, write_product, write_test_key
from thermokeeper.errors import ToolError
from thermokeeper.release.stock import stock_firmware

SERIAL = "THERM00000000000001"


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("product")
    write_product(folder)
    write_test_key(folder)
    return folder


def image(product: Path, out: Path, firmware: Path, *more: str) -> Path:
    """A flash image of a firmware file, with a release of it."""
    tool(
        *("release", "build", "--app", firmware, "--lib", product / "lib", "--product", "thermometer"),
        *("--version", "1.0.0", "--created", CREATED, "--trust", product / "key.pub.pem"),
        *("--out", out.with_suffix(".tkr")),
    )
    tool("release", "sign", "--key", product / "key.pem", out.with_suffix(".tkr"))
    tool(
        *("image", "build", "--firmware", firmware, "--release", out.with_suffix(".tkr"), "--serial", SERIAL),
        *("--server", "http://things.example.com", "--plain-http", "--vfs", product, "--out", out, *more),
    )
    return out


def test_a_real_image_is_in_flash_byte_by_byte(product, tmp_path, rom):
    path = image(product, tmp_path / "flash.bin", stock_firmware()[0], "--any-bootloader")
    board = rom("esp32", fills=0xA5)
    said = tool("flash", path, "--port", board.path)
    assert bytes(board.flash.data) == path.read_bytes()
    assert "read back and right" in said
    parts = tmp_path / "app.bin"
    parts.write_bytes(bytes(board.flash.data[0x10000 : 0x10000 + 0x1D0000]))
    done = subprocess.run(
        [sys.executable, "-m", "esptool", "image-info", parts], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0 and done.stdout.count("(valid)") == 2, done.stdout + done.stderr


def test_erase_takes_what_lies_behind_the_image_too(product, tmp_path, rom):
    path = image(product, tmp_path / "flash.bin", product / "firmware.bin")
    board = rom("esp32")
    tool("flash", path, "--port", board.path, "--erase", "--baud", "115200")
    assert bytes(board.flash.data) == path.read_bytes()


def test_the_wrong_chip_is_refused_before_anything_is_written(product, tmp_path, rom):
    path = image(product, tmp_path / "flash.bin", product / "firmware.bin")
    board = rom("esp32s3", fills=0xA5)
    with pytest.raises(ToolError, match=r"is for the ESP32, the board on .* has an ESP32-S3"):
        tool("flash", path, "--port", board.path)
    assert set(board.flash.data) == {0xA5}


def test_a_flash_that_is_too_small_is_refused(product, tmp_path, rom):
    path = image(product, tmp_path / "flash.bin", product / "firmware.bin", "--flash-size", "8MiB")
    board = rom("esp32", fills=0xA5)
    with pytest.raises(ToolError, match="is for 8 MiB of flash, the board on .* has 4MB"):
        tool("flash", path, "--port", board.path)
    assert set(board.flash.data) == {0xA5}


def test_bytes_that_flash_does_not_take_are_noticed(product, tmp_path, rom, monkeypatch):
    path = image(product, tmp_path / "flash.bin", product / "firmware.bin")
    board = rom("esp32")
    write = board.flash.write_defl_block

    def worn(payload: bytes) -> None:
        write(payload)
        board.flash.data[0x3B0000] = 0  # the first letter of the factory record

    monkeypatch.setattr(board.flash, "write_defl_block", worn)
    with pytest.raises(ToolError, match="MD5"):
        tool("flash", path, "--port", board.path)


def test_what_is_no_image_is_refused(product, tmp_path):
    (tmp_path / "no.bin").write_bytes(b"\xff" * 0x10000)
    for path, reason in (
        (tmp_path / "no.bin", "isn't a flash image made by"),
        (tmp_path / "none.bin", "isn't there"),
        (product / "firmware.bin", "isn't a flash image made by"),
    ):
        with pytest.raises(ToolError, match=reason) as caught:
            tool("flash", path, "--port", "/dev/null")
        assert "\n" not in str(caught.value)


def test_a_port_that_can_not_be_had_is_named_with_the_reason(product, tmp_path, rom, monkeypatch):
    path = image(product, tmp_path / "flash.bin", product / "firmware.bin")
    with pytest.raises(ToolError, match="there is no port /dev/ttyUSB99"):
        tool("flash", path, "--port", "/dev/ttyUSB99")
    with pytest.raises(ToolError, match="socket://127.0.0.1:9 can't be opened"):
        tool("flash", path, "--port", "socket://127.0.0.1:9")
    with pytest.raises(ToolError, match="nonsense://x isn't a port"):
        tool("flash", path, "--port", "nonsense://x")
    board = rom("esp32")
    with (
        serial.Serial(board.path, exclusive=True),
        pytest.raises(ToolError, match="is in use by another program"),
    ):
        tool("flash", path, "--port", board.path)
    monkeypatch.setattr("thermokeeper.board.port.list_ports.comports", list)
    with pytest.raises(ToolError, match="no board is connected by USB"):
        tool("flash", path)


def test_a_port_without_a_chip_is_said_in_one_line(product, tmp_path, monkeypatch):
    path = image(product, tmp_path / "flash.bin", product / "firmware.bin")
    monkeypatch.setattr("thermokeeper.board.flash.ATTEMPTS", 1)
    near, far = os.openpty()
    try:
        with pytest.raises(ToolError, match="no chip answers; hold the button BOOT") as caught:
            tool("flash", path, "--port", os.ttyname(far))
    finally:
        os.close(near)
        os.close(far)
    assert "\n" not in str(caught.value)
