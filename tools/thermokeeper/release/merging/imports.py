"""What an import statement brings: a module of the release, a name out of one, or something else altogether.

Nothing is decided here about how it is written after merging.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from thermokeeper.errors import ToolError
from thermokeeper.release.merging.layout import Module
from thermokeeper.release.merging.scopes import Contents, Import, Scope


@dataclass(eq=False)
class Binding:
    """One name that an import statement binds.

    base, name: `from base import name`, or `import base` if name is "". module: the module of the release that the
    bound name stands for. source: the module of the release that the name is taken out of. One of them, or neither.
    """

    statement: Import
    local: str
    renamed: bool  # there is an `as`
    base: str
    name: str
    module: str = ""
    source: str = ""

    @property
    def scope(self) -> Scope:
        """The scope that the name is bound in."""
        scope = self.statement.scope
        return scope.module if self.local in scope.globals else scope

    @property
    def loaded(self) -> str:
        """The module of the release that the statement loads; "" if none."""
        return (self.module if self.name else self.base) if self.module else self.source

    @property
    def root_only(self) -> bool:
        """Whether it is `import a.b`, which binds `a`."""
        return not self.name and not self.renamed and "." in self.base


def bindings(contents: Contents, own: Module, modules: dict[str, Module]) -> Iterator[Binding]:
    """All that a file's imports bind."""
    for statement in contents.imports:
        node = statement.node
        where = f"{own.path}:{node.lineno}"
        for alias in node.names:
            renamed = alias.asname is not None
            if isinstance(node, ast.Import):
                found = Binding(statement, alias.asname or alias.name.split(".")[0], renamed, alias.name, "")
                if alias.name in modules:
                    found.module = alias.name if renamed else found.local
            else:
                base = _absolute(node, own, where)
                if alias.name == "*":
                    raise ToolError(f"{where}: from {base} import * can't be merged; name what is imported")
                found = Binding(statement, alias.asname or alias.name, renamed, base, alias.name)
                if f"{base}.{alias.name}" in modules:
                    found.module = f"{base}.{alias.name}"
                elif base in modules:
                    found.source = base
            yield found


def _absolute(node: ast.ImportFrom, own: Module, where: str) -> str:
    parts = node.module.split(".") if node.module else []
    if not node.level:
        return ".".join(parts)
    folder = own.name.split(".")
    up = node.level - (1 if own.package else 0)
    if up >= len(folder):
        raise ToolError(f"{where}: the import leads above the package")
    return ".".join(folder[: len(folder) - up] + parts)
