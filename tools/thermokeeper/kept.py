"""Results of slow work, kept on this machine by the content that they were made of; nothing is lost with them.

They lie in the user's own cache folder, which nobody else can write: what is kept goes into signed releases.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import platformdirs

_LIMIT = 4000  # files; beyond it the oldest half goes


def kept(kind: str, content: bytes, make: Callable[[], bytes]) -> bytes:
    """What `make` makes of the content. kind: everything else that the result depends on, versions too."""
    folder = platformdirs.user_cache_path("thermokeeper") / "compiled"
    path = folder / hashlib.sha256(kind.encode() + b"\0" + content).hexdigest()
    try:
        return path.read_bytes()
    except OSError:
        pass  # not made yet, or the folder can't be read
    made = make()
    try:
        _keep(path, made)
    except OSError:
        pass  # a folder that can't be written costs time, and nothing else
    return made


def _keep(path: Path, data: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
        file.write(data)
    os.replace(file.name, path)
    if data and path.name[0] == "0":  # every now and then
        files = sorted(path.parent.iterdir(), key=lambda one: one.stat().st_mtime)
        for old in files[: len(files) // 2] if len(files) > _LIMIT else ():
            old.unlink(missing_ok=True)
