"""Short names for what a release keeps to itself: its globals, attributes, arguments and constants.

A name costs memory once, wherever it is used, so everything shares the same few short ones. Exceptions keep their
names, for who reads a board's console. It must not know how modules are merged.
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
    # What another folder imports has the same name there, so that it isn't one more.
    importers: dict[Symbol, list[Symbol]] = defaultdict(list)
    for symbol in program.symbols:
        if symbol.imported:
            importers[symbol.imported].append(symbol)
    used: dict[object, set[str]] = defaultdict(set)
    # By name, not by use: a change inside a function leaves all other modules as they were.
    for symbol in sorted(others, key=lambda one: (not one.outside, one.final)):
        if not _may_be_short(program, symbol, spoken):
            continue
        everywhere = [symbol, *importers[symbol]]
        # In the body of a class its own names come first.
        hiding: set[str] = set()
        for one in everywhere:
            hiding |= used[one.group]
            for mention in one.mentions:
                hiding |= attributes.own_names.get(mention.scope, set())
        name = next(name for name in spoken.short_names() if name not in hiding)
        new.setdefault(name, set()).add(symbol.final)
        for one in everywhere:
            used[one.group].add(name)
            one.final = name
    shorten_arguments(program, spoken)
    return new


def _may_be_short(program: Program, symbol: Symbol, spoken: Spoken) -> bool:
    if not spoken.is_free(symbol):
        return False
    if is_private(symbol.final):
        return True
    if not symbol.origin:
        return False  # an import, whose name is there anyway
    imported = {binding.local for binding in program.bindings[symbol.origin]}
    return symbol.wanted[0] not in imported and not symbol.wanted[0].endswith("Error")
