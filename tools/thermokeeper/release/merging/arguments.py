"""Names of arguments become words that every MicroPython has in its firmware, and cost nothing.

Only of arguments that nobody gives by name. Local variables have no names at run time.
"""

from __future__ import annotations

from collections import defaultdict

from thermokeeper.release.merging.linking import Program
from thermokeeper.release.merging.scopes import Contents, Scope, Use
from thermokeeper.release.merging.spoken import Spoken
from thermokeeper.release.merging.symbols import Symbol

# from the words that an .mpy file has by number (MicroPython's py/makeqstrdata.py), short and no built-in function
_FREE = (
    *("args", "value", "key", "end", "start", "stop", "step", "sep", "count", "index", "find", "get", "read", "write"),
    *("join", "keys", "items", "values", "copy", "send", "close", "pop", "update", "insert", "remove", "replace"),
    *("split", "strip", "lower", "upper", "clear", "extend", "append", "format", "little", "main", "sort", "reverse"),
)
_KNOWN = {*_FREE, "self"}


def shorten_arguments(program: Program, spoken: Spoken) -> None:
    """Change the text of all functions."""
    for contents in program.contents.values():
        seen = _names_inside(program, contents)
        uses: dict[tuple[Scope, str], list[Use]] = defaultdict(list)
        for use in contents.uses:
            owner = use.scope.owner(use.name)
            if owner:
                uses[owner, use.name].append(use)
        given: dict[Scope, set[str]] = defaultdict(set)
        for node, scope in contents.functions:  # those outside come before those inside them
            taken = set(seen[scope])
            around = scope.parent
            while around:
                taken |= given[around]
                around = around.parent
            arguments = [*node.args.posonlyargs, *node.args.args, *(one for one in (node.args.vararg,) if one)]
            for argument in arguments:
                name = argument.arg
                new = next((word for word in _FREE if word not in taken), None)
                if new is None or name in _KNOWN or name in spoken.keywords:
                    continue
                taken.add(new)
                given[scope].add(new)
                for use in uses[scope, name]:
                    contents.source.replace(use.span, new, name)


def _names_inside(program: Program, contents: Contents) -> dict[Scope, set[str]]:
    """Scope -> names that are used in it or in scopes inside it, as they are and as they will be."""
    names: dict[Scope, set[str]] = defaultdict(set)

    def add(name: str, scope: Scope | None) -> None:
        while scope:
            names[scope].add(name)
            scope = scope.parent

    for use in contents.uses:
        add(use.name, use.scope)
    for binding in program.bindings[contents.source.module]:
        add(binding.local, binding.statement.scope)
    for mention in program.mentions:
        if mention.contents is contents:
            head = mention.parts[0]
            add(head.final if isinstance(head, Symbol) else head, mention.scope)
    return names
