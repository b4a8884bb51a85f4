"""Programs that came with this package's dependencies: where they are."""

import shutil
import sys
from pathlib import Path

from thermokeeper.errors import ToolError


def program(name: str) -> Path:
    """Path of a program, beside this interpreter or on the path; ToolError without it."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if not found:
        raise ToolError(f"`{name}` is missing: install this package with its dependencies")
    return Path(found)
