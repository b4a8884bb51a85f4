"""One at a time: a file that is locked while something is done, and free again whatever becomes of who did it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from thermokeeper.errors import ToolError


@contextmanager
def alone(folder: Path, what: str) -> Iterator[None]:
    """While this goes on no other run uses `what`, like a port; ToolError if one does."""
    name = re.sub(r"[^A-Za-z0-9.-]", "-", what)
    lock = FileLock(folder / f"{name}.lock", timeout=0)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise ToolError(f"{what}: another run of the factory is at it") from None
    except OSError as error:
        raise ToolError(f"the factory's folder {folder} can't be used: {error.strerror}") from None
    try:
        yield
    finally:
        lock.release()
