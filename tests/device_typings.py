"""Installs MicroPython's type stubs into a folder of their own and corrects what is wrong in them.

They bring a standard library that is MicroPython's, so they must never lie beside the host's packages. The exact
versions are in pyproject.toml; a correction that no longer fits is an error, so that a new version is looked at.
"""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# file, what it says, what is true, how often
CORRECTIONS = [
    # Partition(Partition.RUNNING) and Partition(Partition.BOOT) take a number
    ("esp32.pyi", "id: str, block_size=4096, /", "id: str | int, block_size=4096, /", 1),
    # a piece of a buffer is a buffer
    ("esp32.pyi", "buf: bytearray", "buf: bytearray | memoryview", 2),
    ("esp32.pyi", "buf: bytes | bytearray", "buf: bytes | bytearray | memoryview", 2),
    ("esp32.pyi", "buffer: bytearray", "buffer: bytearray | memoryview", 1),
    ("stdlib/json/__init__.pyi", "def loads(str: AnyStr)", "def loads(str: str | bytes | bytearray | memoryview)", 1),
    # the context that ssl hands on
    ("tls.pyi", "class SSLContext:\n", "class SSLContext:\n    verify_mode: int\n", 1),
]


def main(folder: Path) -> None:
    """Make the folder anew."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        packages = tomllib.load(file)["dependency-groups"]["device-typings"]
    shutil.rmtree(folder, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps"]
    if subprocess.run([*pip, "--target", str(folder), *packages], check=False).returncode:
        raise SystemExit(1)
    for name, said, true, times in CORRECTIONS:
        path = folder / name
        text = path.read_text(encoding="utf-8")
        if text.count(said) != times:
            raise SystemExit(f"{name} has changed: look at CORRECTIONS in {Path(__file__).name}")
        path.write_text(text.replace(said, true), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
