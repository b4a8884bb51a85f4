"""Which modules become which: a folder is a phase of memory, so the modules of a folder become one module.

Its sub-folders stay modules of their own, and so do those modules of a product that main.py starts by name. It must
not know what is in the files.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from thermokeeper.errors import ToolError

STARTED = ("app", "safe")  # modules of a top-level package that main.py imports
_UNTOUCHED = ("board/", "trust.py")


@dataclass(eq=False)
class Module:
    """A module as it was written. package: it is a folder's __init__."""

    path: str
    name: str
    package: bool
    group: Group


@dataclass(eq=False)
class Group:
    """A module of the release: what was merged into it. parents: the packages above it, outermost first."""

    path: str
    name: str
    modules: list[Module] = field(default_factory=list)

    @property
    def parents(self) -> list[str]:
        """The packages that are imported before it."""
        parts = self.name.split(".")
        return [".".join(parts[:count]) for count in range(1, len(parts))]


def arrange(paths: Iterable[str]) -> dict[str, Module]:
    """Dotted name -> module, for all Python files of a release but those that are left as they are."""
    every = set(paths)
    sources = sorted(path for path in every if path.endswith(".py") and not path.startswith(_UNTOUCHED))
    groups: dict[str, Group] = {}
    modules: dict[str, Module] = {}
    for path in sources:
        pure = PurePosixPath(path)
        package = pure.name == "__init__.py"
        name = ".".join(pure.parent.parts if package else pure.with_suffix("").parts)
        if not all(part.isidentifier() for part in name.split(".")):
            raise ToolError(f"{path} can't be imported by that name")
        if name in modules:
            raise ToolError(f"{modules[name].path} and {path} are one module by name; rename one of them")
        folder = pure.parent.as_posix()
        merged = package or f"{folder}/__init__.py" in every and not is_started(path)
        group = groups.setdefault(folder if merged else path, Group(folder if merged else path, name))
        group.name = ".".join(pure.parent.parts) if merged else name
        modules[name] = Module(path, name, package, group)
        group.modules.append(modules[name])
    for group in groups.values():
        if not group.path.endswith(".py"):
            # A folder hides a module of the same name: it may only go if nothing is left in it.
            own = {module.path for module in group.modules}
            left = any(path.startswith(group.path + "/") and path not in own for path in every)
            group.path += "/__init__.py" if left else ".py"
    return modules


def is_started(path: str) -> bool:
    """Whether main.py may start this module, a path below lib/, by name."""
    pure = PurePosixPath(path)
    return len(pure.parts) == 2 and pure.stem in STARTED
