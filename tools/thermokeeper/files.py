"""Files in and out, every failure one line for a person. Knows no format."""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from thermokeeper.errors import ToolError

_CHECKOUT, _INSTALLED = Path(__file__).resolve().parents[2], Path(__file__).resolve().parent / "project"
# where boot.py, main.py, lib/ and firmware/ are: around the package, or brought along by it
PROJECT = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT
MAX_INPUT_BYTES = 64 << 20  # more than any flash chip an ESP32 can have: nothing we read is larger


def read_bytes(path: Path, what: str) -> bytes:
    """All bytes of a file that should be `what`; refuses folders, empty files and absurd sizes."""
    try:
        if path.is_dir():
            raise ToolError(f"{path} is a folder; give {what}")
        if path.stat().st_size > MAX_INPUT_BYTES:
            raise ToolError(f"{path} is too large to be {what}")
        data = path.read_bytes()
    except FileNotFoundError:
        raise ToolError(f"{path} isn't there; give {what}") from None
    except OSError as error:
        raise ToolError(f"{path} can't be read: {error.strerror}") from None
    if not data:
        raise ToolError(f"{path} is empty; give {what}")
    return data


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all: a cut never leaves half of one under its name."""
    write_blocks(path, (data,))


def write_blocks(path: Path, blocks: Iterable[bytes]) -> int:
    """The same of pieces as they come; how many bytes there were."""
    size = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                for block in blocks:
                    size += file.write(block)
            mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
            os.chmod(temporary, mode)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise ToolError(f"{path} can't be written: {error.strerror}") from None
    return size


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
