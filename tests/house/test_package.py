"""What `pip install` gives is a whole tool: it makes a release and a flash image without a checkout."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from thermokeeper.files import PROJECT
from thermokeeper.release.stock import stock_firmware

pytestmark = pytest.mark.whole


def _pip(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "pip", "--quiet", *map(str, arguments)], check=True, capture_output=True)


def test_an_installed_tool_makes_a_board_s_flash(tmp_path: Path) -> None:
    site = tmp_path / "site"
    _pip("wheel", "--no-deps", "--wheel-dir", tmp_path / "wheels", PROJECT)
    (wheel,) = (tmp_path / "wheels").glob("thermokeeper-*.whl")
    _pip("install", "--no-deps", "--target", site, wheel)

    def tool(*words: str | Path) -> str:
        command = [sys.executable, "-P", "-c", "from thermokeeper.cli import main; main()", *map(str, words)]
        environment = {**os.environ, "PYTHONPATH": str(site)}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert (site / "thermokeeper/project/boot.py").read_bytes() == (PROJECT / "boot.py").read_bytes()
    firmware = stock_firmware()[0]
    tool("release", "keygen", "--out", "key.pem")
    build = ("--app", firmware, "--product", "thermometer", "--version", "1.0.0", "--trust", "key.pub.pem")
    tool("release", "build", *build, "--out", "1.tkr")
    tool("release", "sign", "--key", "key.pem", "1.tkr")
    record = ("--serial", "THERM00000000000001", "--server", "https://things.example.com", "--wifi", "a:12345678")
    made = ("--firmware", firmware, "--any-bootloader", "--release", "1.tkr", "--trust", "key.pub.pem")
    tool("image", "build", *made, *record, "--out", "flash.bin")
    assert "1.0.0" in tool("image", "inspect", "flash.bin")
    assert "tk: identity: thermometer, serial THERM00000000000001" in tool("sim", "run", "flash.bin", "--for", "2")
