"""The shim's source files, loaded into a namespace of their own on CPython and compiled for MicroPython.

The same files serve both runtimes (shim/). On CPython each board gets fresh module objects, never those of
`sys.modules`: many boards can live in one process, and host code never sees a board's `time` or `socket`.
"""

from __future__ import annotations

import builtins
import functools
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from thermokeeper import bytecode
from thermokeeper.errors import ToolError

SHIM = Path(__file__).parent / "shim"
NAMES = frozenset(path.stem for path in SHIM.glob("*.py"))
HEAP_KIB = 102  # what the shim's modules take of a MicroPython heap; on a board theirs are in flash, and C
_UNITS = {"": 1, "k": 1024, "m": 1024 * 1024}


@functools.cache
def _code(name: str) -> CodeType:
    path = SHIM / f"{name}.py"
    return compile(path.read_text(encoding="utf-8"), str(path), "exec")


class ShimModules(dict[str, ModuleType]):
    """Fresh instances of the shim's modules, each made when it is first asked for.

    `replacements` are host modules that the shim sees in another form (its `time`, once the board's is there).
    """

    def __init__(self) -> None:
        super().__init__()
        self.replacements: dict[str, ModuleType] = {}
        self._builtins = {**vars(builtins), "__import__": self._import}

    def __missing__(self, name: str) -> ModuleType:
        module = ModuleType(name)
        module.__dict__["__builtins__"] = self._builtins
        module.__file__ = str(SHIM / f"{name}.py")
        self[name] = module
        exec(_code(name), module.__dict__)
        return module

    def _import(
        self, name: str, globals_: Any = None, locals_: Any = None, names: Any = (), level: int = 0
    ) -> ModuleType:
        if name in NAMES:
            return self[name]
        if name in self.replacements:
            return self.replacements[name]
        return __import__(name, globals_, locals_, names, level)


def compiled_folder() -> Path:
    """Folder with the shim compiled for MicroPython."""
    return bytecode.compiled_folder({"": SHIM}, level=2)


def heap_bytes(limit: str) -> int:
    """Size of the heap in which `limit` (like 256k) is left for the device's code."""
    number, unit = (limit[:-1], limit[-1].lower()) if limit[-1:].isalpha() else (limit, "")
    if not number.isdigit() or unit not in _UNITS:
        raise ToolError(f"a heap is given like 256k, not {limit}")
    return int(number) * _UNITS[unit] + HEAP_KIB * 1024
