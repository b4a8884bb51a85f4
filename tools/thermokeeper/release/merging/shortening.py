"""Short names for what a merged module keeps to itself: its globals, private attributes, arguments and constants.

A name costs memory once, wherever it is used, so everything shares the same few short ones. Classes that anybody may
see keep their names, for error messages. It must not know how modules are merged.
"""

from __future__ import annotations

from collections import defaultdict

from thermokeeper.release.merging.arguments import shorten_arguments
from thermokeeper.release.merging.attributes import Attributes
from thermokeeper.release.merging.constants import make_constants
from thermokeeper.release.merging.layout import Module
from thermokeeper.release.merging.linking import Program
from thermokeeper.release.merging.spoken import Spoken, is_private
from thermokeeper.release.merging.symbols import Symbol


def shorten_all(program: Program, order: list[Module], spoken: Spoken) -> dict[str, set[str]]:
    """Change attributes and arguments in the text, globals in their symbols; short name -> what it stands for."""
    attributes = Attributes(program, spoken)
    new = attributes.shorten()
    constants = make_constants(program, order, spoken)
    others = [symbol for symbol in program.symbols if symbol not in constants]
    used: dict[object, set[str]] = defaultdict(set)
    for symbol in sorted(others, key=lambda one: -len(one.mentions)):
        if not _may_be_short(program, symbol, spoken):
            continue
        # In the body of a class its own names come first.
        hiding: set[str] = set()
        for mention in symbol.mentions:
            hiding |= attributes.own_names.get(mention.scope, set())
        name = next(name for name in spoken.short_names() if name not in used[symbol.group] | hiding)
        used[symbol.group].add(name)
        new.setdefault(name, set()).add(symbol.final)
        symbol.final = name
    shorten_arguments(program, spoken)
    return new


def _may_be_short(program: Program, symbol: Symbol, spoken: Spoken) -> bool:
    if not spoken.is_free(symbol):
        return False
    if is_private(symbol.final):
        return True
    if not symbol.origin:
        return False  # an import, whose name is there anyway
    contents = program.contents[symbol.origin]
    shown = {node.name for node, scope in contents.classes if scope.parent is contents.scope}
    shown |= {binding.local for binding in program.bindings[symbol.origin]}
    return symbol.wanted[0] not in shown
