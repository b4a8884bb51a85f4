"""What host tests of releases and images share: the command in this process, the test key as PEM, a small product."""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

import images
import releases
from thermokeeper.cli import cli

CREATED = "2026-11-21T20:13:18Z"
MOUNT = """
import sys, vfs
class Device:
    def __init__(self, path, offset, size):
        self.file, self.offset, self.size = open(path, "rb"), offset, size
    def readblocks(self, block, buf, offset=0):
        self.file.seek(self.offset + block * 4096 + offset)
        self.file.readinto(buf)
    def writeblocks(self, block, buf, offset=0):
        raise OSError(30)
    def ioctl(self, op, arg):
        return {4: self.size // 4096, 5: 4096}.get(op, 0)
vfs.mount(Device(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])), "/release", readonly=True)
sys.path.insert(0, "/release")
"""


def tool(*arguments: object, answers: str | None = None) -> str:
    """Run `thermokeeper ARGUMENTS` here; what it prints. ToolError goes through, another failure fails the test."""
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments], input=answers)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def write_test_key(folder: Path) -> tuple[Path, Path]:
    """The key of tests/units/device/releases.py as private and public PEM files."""
    private_path, public_path = folder / "key.pem", folder / "key.pub.pem"
    private, public = _test_key()
    private_path.write_bytes(private)
    public_path.write_bytes(public)
    return private_path, public_path


@functools.cache
def _test_key() -> tuple[bytes, bytes]:
    public = rsa.RSAPublicNumbers(65537, releases.N)
    d = pow(65537, -1, (releases.P - 1) * (releases.Q - 1))
    key = rsa.RSAPrivateNumbers(releases.P, releases.Q, d, releases.DP, releases.DQ, releases.QI, public).private_key()
    pem = serialization.Encoding.PEM
    return (
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo),
    )


def write_product(folder: Path) -> None:
    """A small application and firmware: lib/, boot.py, main.py, firmware.bin (whole), app.app-bin."""
    for package in ("keeper", "thermometer"):
        (folder / "lib" / package / "inner").mkdir(parents=True)
        (folder / "lib" / package / "__init__.py").write_text(f'NAME = "{package}"\n')
    (folder / "lib/thermometer/inner/table.py").write_text("LONG = " + repr("x" * 9000) + "\n")
    (folder / "lib/thermometer/notes.txt").write_text("an asset\n")
    (folder / "boot.py").write_text("print('boot')\n")
    (folder / "main.py").write_text("print('main')\n")
    app = images.application(40000)
    (folder / "app.app-bin").write_bytes(app)
    (folder / "firmware.bin").write_bytes(images.whole_firmware(app))


def micropython(script: str, *arguments: object) -> str:
    """Run a script on unix MicroPython; what it prints. An argument may have at most 255 bytes."""
    interpreter = Path(sys.executable).with_name("micropython")
    done = subprocess.run(
        [interpreter, "-c", script, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
