"""One at a time: a file that is locked while something is done, and free again whatever becomes of who did it."""

import fcntl
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from thermokeeper.errors import ToolError


@contextmanager
def alone(folder: Path, what: str) -> Iterator[None]:
    """While this goes on no other run uses `what`, like a port; ToolError if one does."""
    name = re.sub(r"[^A-Za-z0-9.-]", "-", what)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = (folder / f"{name}.lock").open("w")
    except OSError as error:
        raise ToolError(f"the factory's folder {folder} can't be used: {error.strerror}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ToolError(f"{what}: another run of the factory is at it") from None
        yield
