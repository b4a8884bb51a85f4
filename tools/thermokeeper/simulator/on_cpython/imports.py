"""What `import` does on a board, on CPython: along its own sys.path, from the files that are mounted there.

A module is what the board was given (`given`), one of the shim, or source; `.mpy` files are MicroPython's alone. It
knows no hardware and no console.
"""

from __future__ import annotations

import errno
import functools
import posixpath
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from thermokeeper.simulator.on_cpython.filesystem import Files
from thermokeeper.simulator.shimcode import NAMES, ShimModules

_BOARD_MODULES = frozenset(name for name in NAMES if not name.startswith("_"))


@functools.lru_cache(maxsize=512)
def _compile(source: bytes, name: str) -> CodeType:
    return compile(source, name, "exec", dont_inherit=True)


@functools.lru_cache(maxsize=8)
def _host_files(folders: tuple[Path, ...]) -> dict[bytes, str]:
    """Content -> path of every Python file below the folders."""
    return {path.read_bytes(): str(path) for folder in folders for path in sorted(folder.rglob("*.py"))}


class Imports:
    """`load` is the board's `__import__`. given: modules that it has anyway, `sys` among them; builtins: for all code.

    sources: host folders whose files stand for equal ones in flash, so that coverage can be measured.
    """

    def __init__(self, files: Files, shim: ShimModules, sources: tuple[Path, ...]) -> None:
        self.modules: dict[str, ModuleType] = {}
        self.given: dict[str, Any] = {}
        self.builtins: dict[str, Any] = {}
        self._files = files
        self._shim = shim
        self._sources = _host_files(sources) if sources else {}

    def code(self, source: bytes, name: str) -> CodeType:
        """What this source, from the file with this name, is compiled to."""
        return _compile(source, self._sources.get(source, name))

    def load(self, name: str, scope: Any = None, locals_: Any = None, names: Any = (), level: int = 0) -> ModuleType:
        """Import a module, and of a package the wanted ones in it."""
        if level:
            package = scope.get("__package__") or (
                scope["__name__"] if "__path__" in scope else scope["__name__"].rpartition(".")[0]
            )
            for _ in range(level - 1):
                package = package.rpartition(".")[0]
            if not package:
                raise ImportError("can't perform relative import")
            name = f"{package}.{name}" if name else package
        module = top = self._load(name.partition(".")[0])
        loaded = name.partition(".")[0]
        for part in name.split(".")[1:]:
            loaded += "." + part
            child = self._load(loaded, module)
            setattr(module, part, child)
            module = child
        if not names:
            return module if level else top
        for wanted in names:
            if wanted != "*" and not hasattr(module, wanted) and hasattr(module, "__path__"):
                try:
                    setattr(module, wanted, self._load(f"{name}.{wanted}", module))
                except ImportError:
                    raise ImportError(f"can't import name {wanted}") from None
        return module

    def _load(self, name: str, parent: ModuleType | None = None) -> ModuleType:
        if name in self.modules:
            return self.modules[name]
        if parent is None:
            if name in self.given:
                return self.given[name]
            if name in _BOARD_MODULES:
                return self._shim[name]
            folders = [folder for folder in self.given["sys"].path if folder != ".frozen"]
        elif hasattr(parent, "__path__"):
            folders = [parent.__path__]
        else:
            folders = []
        last = name.rpartition(".")[2]
        compiled = None
        for folder in folders:
            base = posixpath.join(folder, last)
            if self._is(base, 0x4000):
                return self._execute(name, base + "/__init__.py", base)
            if self._is(base + ".py", 0x8000):
                return self._execute(name, base + ".py", None)
            if self._is(base + ".mpy", 0x8000):
                compiled = base + ".mpy"
                break
        if compiled:
            raise ImportError(f"{compiled} is compiled for MicroPython: build the release with --source to run it here")
        error = ImportError(f"no module named '{name}'")
        error.errno = errno.ENOENT  # type: ignore[attr-defined]
        raise error

    def _is(self, path: str, kind: int) -> bool:
        try:
            return self._files.stat(path)[0] == kind
        except OSError:
            return False

    def _execute(self, name: str, path: str, folder: str | None) -> ModuleType:
        module = ModuleType(name)
        module.__dict__["__builtins__"] = self.builtins
        module.__file__ = path
        if folder:
            module.__path__ = folder  # type: ignore[assignment]
        source = b""
        if not folder or self._is(path, 0x8000):
            with self._files.open(path, "rb") as file:
                source = file.read()
        self.modules[name] = module
        try:
            exec(self.code(source, path), module.__dict__)
        except BaseException:
            self.modules.pop(name, None)
            raise
        return module
