"""Short names for attributes and methods.

A public one has one short name in the whole release, if only the release has it. As for private ones: classes that have
nothing to do with each other may use one short name for different things, as long as their private names are only
asked of `self` (or of the class by its name); a name that is asked of anything else has one short name in the whole
release. So there are few different ones.
"""

from __future__ import annotations

import ast
from collections import Counter, defaultdict

from thermokeeper.release.merging.linking import Program
from thermokeeper.release.merging.scopes import Contents, Scope, Use
from thermokeeper.release.merging.spoken import Spoken, is_private
from thermokeeper.release.merging.symbols import Symbol
from thermokeeper.release.merging.text import Span, span_of

Places = dict[str, list[tuple[Contents, Span]]]
_NO_SELF = "staticmethod"


class Attributes:
    """The attributes of a release that may have other names.

    own_names, once they are short: class -> all names in its body.
    """

    def __init__(self, program: Program, spoken: Spoken) -> None:
        self._program = program
        self._spoken = spoken
        self._mentions = {
            (mention.contents, mention.span.line, mention.span.column): mention for mention in program.mentions
        }
        self._classes = [(found, node, scope) for found in program.contents.values() for node, scope in found.classes]
        self._kin: dict[Scope, Scope] = {scope: scope for _, _, scope in self._classes}
        self._kept: set[str] = set(spoken.private)
        self._foreign: set[Scope] = set()
        self._unite_kin()
        # name -> where it stands; by kin, None for public ones and those that are asked of objects of unknown classes
        self._places: dict[Scope | None, Places] = defaultdict(lambda: defaultdict(list))
        self._defined: dict[Scope | None, set[str]] = defaultdict(set)
        for found in program.contents.values():
            self._look_through(found)
        self.own_names: dict[Scope, set[str]] = {}

    def shorten(self) -> dict[str, set[str]]:
        """Change the text; short name -> the names that it stands for."""
        defined = set().union(*self._defined.values())
        kept = self._kept | {name for names in self._places.values() for name in names if name not in defined}
        for scope in self._foreign:
            kept |= set(self._places[self._root(scope)])
        shared = set(self._places[None])
        for kin, names in self._places.items():
            if kin:  # asked of self, but given to no self here: some other class is a relative, unknown as such
                shared |= {name for name in names if name not in self._defined[kin]}
        shared -= kept
        counts = Counter({name: sum(len(names.get(name, ())) for names in self._places.values()) for name in shared})
        pool = list(self._spoken.short_names())
        common = dict(zip(sorted(counts), pool, strict=False))
        new: dict[str, set[str]] = defaultdict(set)
        for kin, names in self._places.items():
            own = Counter({name: len(places) for name, places in names.items() if name not in kept | shared})
            table = common | dict(zip(sorted(own), pool[len(common) :], strict=False))
            for name, places in names.items():
                if name in table:
                    new[table[name]].add(name)
                    for contents, span in places:
                        contents.source.replace(span, table[name], name)
            for _, _, scope in self._classes:
                if self._root(scope) is kin:
                    self.own_names[scope] = {table.get(name, name) for name in scope.bound}
        return new

    # which classes are related

    def _root(self, scope: Scope) -> Scope:
        while self._kin[scope] is not scope:
            scope = self._kin[scope]
        return scope

    def _unite_kin(self) -> None:
        named = {
            symbol: scope
            for found, node, scope in self._classes
            if scope.parent is found.scope and (symbol := self._program.symbol(found.source.module, node.name))
        }
        self._named = named
        for found, node, scope in self._classes:
            for base in node.bases:
                symbol = self._symbol_at(found, base)
                if symbol in named:
                    self._kin[self._root(scope)] = self._root(named[symbol])
                elif symbol and not symbol.origin:
                    self._foreign.add(scope)  # a class from elsewhere, whose private names aren't known
                elif symbol or not isinstance(base, ast.Name) or scope.parent and scope.parent.owner(base.id):
                    for other in self._kin:  # it can't be told which class that is: perhaps any
                        self._kin[self._root(other)] = self._root(scope)

    def _symbol_at(self, found: Contents, node: ast.expr) -> Symbol | None:
        """The global that an expression is; a class that was imported from another folder is that class."""
        mention = self._mentions.get((found, node.lineno, node.col_offset))
        if not mention or (mention.span.end_line, mention.span.end_column) != (node.end_lineno, node.end_col_offset):
            return None
        symbol = mention.parts[-1]
        while isinstance(symbol, Symbol) and symbol.imported:
            symbol = symbol.imported
        return symbol if isinstance(symbol, Symbol) else None

    # where names stand

    def _look_through(self, found: Contents) -> None:
        supers: dict[ast.expr, Scope | None] = {
            call: _class_around(scope)
            for call, scope in found.calls
            if isinstance(call.func, ast.Name) and call.func.id == "super"
        }
        for use in found.uses:
            owner = use.scope.owner(use.name)
            if owner and owner.kind == "class" and self._spoken.is_own(use.name):
                self._put(owner, use.name, found, use.span, use.binds)
        for attribute, start in found.attributes:
            if self._spoken.is_own(attribute.attr) and attribute not in self._program.module_attributes:
                end = span_of(attribute)
                size = len(attribute.attr.encode())
                span = Span(end.end_line, end.end_column - size, end.end_line, end.end_column)
                direct = start if start and start.attributes[0] is attribute else None
                scope = self._class_of(found, attribute, direct) or supers.get(attribute.value)
                self._put(scope, attribute.attr, found, span, not isinstance(attribute.ctx, ast.Load))

    def _put(self, scope: Scope | None, name: str, found: Contents, span: Span, binds: bool) -> None:
        kin = self._root(scope) if scope and is_private(name) else None
        self._places[kin][name].append((found, span))
        if binds and scope:
            self._defined[kin].add(name)

    def _class_of(self, found: Contents, attribute: ast.Attribute, use: Use | None) -> Scope | None:
        """The class whose attribute it is, if that is certain."""
        if not use:
            return None
        owner = use.scope.owner(use.name)
        if owner is found.scope:
            symbol = self._symbol_at(found, attribute.value)
            if symbol and not symbol.origin and not symbol.imported:
                self._kept.add(attribute.attr)  # of a module from elsewhere
            return self._named.get(symbol) if symbol else None
        if owner and owner.kind == "function" and owner.parent and owner.parent.kind == "class":
            return owner.parent if _is_self(owner, use.name) else None
        return None


def _class_around(scope: Scope | None) -> Scope | None:
    while scope and scope.kind != "class":
        scope = scope.parent
    return scope


def _is_self(function: Scope, name: str) -> bool:
    """Whether it is the first argument of a method."""
    node = function.node
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or function.bound[name] != 1:
        return False
    static = any(isinstance(one, ast.Name) and one.id == _NO_SELF for one in node.decorator_list)
    first = [*node.args.posonlyargs, *node.args.args][:1]
    return not static and bool(first) and first[0].arg == name
