"""The Python side of a release: which files of lib/ it has, compiled, and the keys that it trusts.

Which packages: firmware/application.json, the one list that freezing uses too. Compiled files carry no path of the
machine that made them, and hold no native code, so they run on every chip.
"""

import functools
import json
from collections.abc import Iterable
from pathlib import Path

from keeper.release import key_id
from thermokeeper.bytecode import compile_module
from thermokeeper.errors import ToolError
from thermokeeper.files import PROJECT, read_bytes
from thermokeeper.release.boardfiles import bare
from thermokeeper.release.merging import pack_modules
from thermokeeper.release.merging.text import SourceError
from thermokeeper.release.tracing import SourceMap

APPLICATION_LIST = PROJECT / "firmware" / "application.json"
BOARD_FILES = ("boot.py", "main.py")
_MPY_VERSION = 6  # of MicroPython 1.19 to 1.29; its third byte has the architecture of native code in bits 2 to 5


def application_files(lib: Path, source: bool = False, packages: list[str] | None = None) -> dict[str, bytes]:
    """Path -> content of what belongs to the application in the folder `lib`, each module by itself.

    .py compiled unless `source`. boot.py and main.py beside `lib` come along in board/: keeper.settling puts them where
    they belong.
    """
    files = _gathered(lib, packages)
    return files if source else _compiled(files)


def merged_files(lib: Path, packages: list[str] | None = None) -> tuple[dict[str, bytes], SourceMap]:
    """The same with the modules of each folder merged into one, and the map that leads from there back."""
    gathered = tuple(sorted(_gathered(lib, packages).items()))
    try:
        files, source_map = _merged(gathered)
    except SourceError:
        raise
    except ToolError as error:
        raise ToolError(f"{error} (or build with --no-merge, at the cost of memory on the board)") from None
    return dict(files), source_map


@functools.lru_cache(maxsize=16)
def _merged(files: tuple[tuple[str, bytes], ...]) -> tuple[dict[str, bytes], SourceMap]:
    packed, source_map = pack_modules(dict(files))
    return _compiled(packed, merged=True), source_map


def _gathered(lib: Path, packages: list[str] | None) -> dict[str, bytes]:
    if not lib.is_dir():
        raise ToolError(f"{lib} isn't a folder; give the one that holds the application's packages (lib/)")
    files = {}
    for package in packages if packages is not None else listed_packages():
        if not (lib / package / "__init__.py").is_file() and not any((lib / package).glob("*.py")):
            raise ToolError(f"{lib} has no package {package}; give the folder that holds it (lib/)")
        for path in sorted((lib / package).rglob("*")):
            name = path.relative_to(lib).as_posix()
            hidden = any(part.startswith(".") or part == "__pycache__" for part in Path(name).parts)
            if path.is_file() and not hidden and path.suffix != ".pyc":
                files[name] = path.read_bytes()
                if path.suffix == ".mpy":
                    _check_compiled(path, files[name])
    return files | board_files(lib.parent)


def _check_compiled(path: Path, data: bytes) -> None:
    """ToolError for a module that was compiled elsewhere and that a board would refuse, perhaps only in the field."""
    if len(data) < 4 or data[:1] != b"M":
        raise ToolError(f"{path} is no compiled module; put its .py there instead")
    if data[1] != _MPY_VERSION:
        raise ToolError(f"{path} is of .mpy version {data[1]}, boards take {_MPY_VERSION}; put its .py there instead")
    if data[2] >> 2:
        raise ToolError(f"{path} holds native code, which runs on one chip only; put its .py there instead")


def _compiled(files: dict[str, bytes], merged: bool = False) -> dict[str, bytes]:
    """With modules compiled; boot.py and main.py run from their text.

    merged: tracebacks name modules as imports do. A board keeps that name anyway, and keeps each for good.
    """
    found = {}
    for name, content in files.items():
        if name.endswith(".py") and not name.startswith("board/"):
            dotted = name[:-3].removesuffix("/__init__").replace("/", ".")
            found[name[:-3] + ".mpy"] = compile_module(content, dotted if merged else name)
        else:
            found[name] = content
    return found


def board_files(folder: Path) -> dict[str, bytes]:
    """boot.py and main.py of a folder, as they go into a release."""
    return {f"board/{n}": bare((folder / n).read_bytes(), n) for n in BOARD_FILES if (folder / n).is_file()}


def listed_packages() -> list[str]:
    """The packages in firmware/application.json."""
    try:
        packages = json.loads(read_bytes(APPLICATION_LIST, "the list of the application's packages"))["packages"]
    except (ValueError, KeyError, TypeError) as error:
        raise ToolError(f"{APPLICATION_LIST} isn't the list of the application's packages: {error}") from None
    return [str(package) for package in packages]


def trust_module(
    moduli: list[bytes], source: bool = False, revoked: Iterable[str] = (), ca: bytes | None = None
) -> dict[str, bytes]:
    """The generated module `trust`: what a device believes while it runs the release.

    moduli: keys whose releases may replace this one. revoked: ids of keys that are never believed again. ca: the
    certificates to trust for https, as keeper.tls takes them.
    """
    lines = ['"""Keys that sign releases for this device. Generated."""', "", "KEYS = {"]
    lines += [f'    "{key_id(modulus)}": {modulus!r},' for modulus in sorted(moduli, key=key_id)]
    lines.append("}")
    if names := sorted(set(revoked)):
        lines.append(f"REVOKED = {tuple(names)!r}")
    if ca:
        lines.append(f"CA = {ca!r}")
    content = "\n".join([*lines, ""]).encode("ascii")
    return {"trust.py": content} if source else {"trust.mpy": compile_module(content, "trust")}
