"""In which order the modules of a folder follow each other: what is needed while a module is imported comes before it.

Importing a module of another folder imports all of that folder, so all of it has to come first, too; but a folder's
own parent is being imported already, and only what is asked of it must be there. It must not know how text is merged.
"""

from __future__ import annotations

import ast

from thermokeeper.errors import ToolError
from thermokeeper.release.merging.layout import Group, Module
from thermokeeper.release.merging.linking import Program
from thermokeeper.release.merging.scopes import Contents, Use
from thermokeeper.release.merging.symbols import Symbol

Needs = dict[str, set[str]]


def in_order(program: Program) -> list[Module]:
    """All modules of a release; ToolError if modules need each other while they are imported."""
    strong, weak, late = _needs(program)
    cycle: list[str] = []
    for needs in (_union(strong, weak, late), _union(strong, weak), strong):
        order, cycle = _sorted(program, needs)
        if not cycle:
            return order
    files = " needs ".join(program.modules[name].path for name in cycle)
    raise ToolError(f"modules need each other while they are imported, so they can't be merged: {files}")


def _needs(program: Program) -> tuple[Needs, Needs, Needs]:
    """Which modules must come first; should, though nothing is asked of them yet; are imported once functions run."""
    strong: Needs = {name: set() for name in program.modules}
    weak: Needs = {name: set() for name in program.modules}
    late: Needs = {name: set() for name in program.modules}
    for name, own in program.modules.items():
        calls = _calls_own(program.contents[name], program, name)
        asked = _asked_at_import(program, name)
        for binding in program.bindings[name]:
            loaded = program.modules.get(binding.loaded)
            if not loaded or loaded.name == name:
                continue
            if binding.statement.scope.deferred:
                if loaded.group is own.group:
                    late[name].add(loaded.name)
            elif loaded.group is own.group and not calls and binding.local not in asked:
                weak[name].add(loaded.name)
            else:
                strong[name] |= _first(program, own.group, loaded)
    return strong, weak, late


def _first(program: Program, own: Group, loaded: Module) -> set[str]:
    """What an import of `loaded` runs, or asks for, before it is done."""
    if loaded.group is own or loaded.group.name in own.parents:
        return {loaded.name}
    whole = {loaded.group.name, *loaded.group.parents} - {own.name, *own.parents}
    return {module.name for module in program.modules.values() if module.group.name in whole}


def _asked_at_import(program: Program, name: str) -> set[str]:
    """Names that are used while the module is imported."""
    contents = program.contents[name]
    return {use.name for use in contents.uses if not use.scope.deferred and use.scope.owner(use.name) is contents.scope}


def _calls_own(contents: Contents, program: Program, name: str) -> bool:
    """Whether something of the release is called while the module is imported: what that needs isn't known."""
    heads: dict[tuple[int, int], Use] = {(use.span.line, use.span.column): use for use in contents.uses}
    called = [(call.func, scope) for call, scope in contents.calls] + contents.decorators
    for start, scope in called:
        if scope.deferred:
            continue
        while isinstance(start, ast.Attribute):
            start = start.value
        use = heads.get((start.lineno, start.col_offset)) if isinstance(start, ast.Name) else None
        if use is None:
            if not isinstance(start, ast.Constant):
                return True
        elif use.scope.owner(use.name):
            symbol = program.symbol(name, use.name)
            if not isinstance(symbol, Symbol) or symbol.origin or symbol.imported:
                return True
    return False


def _union(*needs: Needs) -> Needs:
    return {name: set().union(*(one[name] for one in needs)) for name in needs[0]}


def _sorted(program: Program, needs: Needs) -> tuple[list[Module], list[str]]:
    """The modules, what is needed first; or a ring of modules that need each other."""
    done: dict[str, None] = {}
    path: list[str] = []

    def visit(name: str) -> list[str]:
        if name in done:
            return []
        if name in path:
            return [*path[path.index(name) :], name]
        path.append(name)
        for needed in sorted(needs[name]):
            if ring := visit(needed):
                return ring
        path.pop()
        done[name] = None
        return []

    for name in sorted(program.modules, key=lambda name: (not program.modules[name].package, name)):
        if ring := visit(name):
            return [], ring
    return [program.modules[name] for name in done], []
