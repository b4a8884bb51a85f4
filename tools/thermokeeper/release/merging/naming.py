"""Names for the globals of merged modules: the ones they had, unless two modules of a folder use one for two things.

A name must not hide what another module of the folder means by it (a built-in function, a sub-folder), nor be hidden
where it is mentioned. It must not know short names.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from thermokeeper.errors import ToolError
from thermokeeper.release.merging.layout import Group, Module
from thermokeeper.release.merging.linking import Program
from thermokeeper.release.merging.symbols import Symbol


def name_all(program: Program, order: list[Module], spoken: set[str]) -> None:
    """Give every symbol its final name. spoken: names that are looked up at run time and can't be changed."""
    rank = {module.name: number for number, module in enumerate(order)}
    groups = {module.group for module in program.modules.values()}
    taken: dict[Group, set[str]] = {group: set(program.builtins[group]) for group in groups}
    for group in groups:
        taken[group] |= children_of(program, group)
    # What is defined in a module goes before what it imports: an import can be given another name by itself.
    defined = [symbol for symbol in program.symbols if symbol.origin]
    defined.sort(key=lambda symbol: (not symbol.fixed and symbol.wanted[0] not in spoken, rank[symbol.origin]))
    for symbol in defined:
        _give(symbol, symbol.wanted, taken[symbol.group], spoken)
    for symbol in program.symbols:
        if not symbol.origin:
            _give(symbol, _best(symbol), taken[symbol.group], set())


def children_of(program: Program, group: Group) -> set[str]:
    """The names that importing a module below a package gives the package."""
    above = group.name + "."
    return {
        module.group.name[len(above) :].split(".")[0]
        for module in program.modules.values()
        if module.group.name.startswith(above)
    }


def _best(symbol: Symbol) -> list[str]:
    wanted = list(symbol.wanted)
    if symbol.imported:
        wanted.insert(0, symbol.imported.final)
    return wanted


def _give(symbol: Symbol, wanted: list[str], taken: set[str], spoken: set[str]) -> None:
    for name in wanted:
        # A module that imports its own sub-folder binds just the name that Python binds.
        own_child = symbol.module == f"{symbol.group.name}.{name}"
        if (name not in taken or own_child) and not is_hidden(symbol, name):
            break
    else:
        old = wanted[0]
        if symbol.fixed or old in spoken:
            raise ToolError(
                f"{symbol.origin or symbol.group.name}: the name {old} means something else in another module of the "
                f"folder {symbol.group.name}, and it can't be changed; give one of them another name"
            )
        name = next(name for name in _others(old) if name not in taken and not is_hidden(symbol, name))
    symbol.final = name
    taken.add(name)


def is_hidden(symbol: Symbol, name: str) -> bool:
    """Whether `name` would mean something else where the symbol is mentioned under another one."""
    return any(
        mention.old.split(".")[0] != name and any(scope.bound[name] for scope in mention.scope.chain())
        for mention in symbol.mentions
    )


def _others(name: str) -> Iterator[str]:
    return (f"{name}_{number}" for number in itertools.count(2))
