"""Every place in a release's text where a global of a merged module is mentioned.

A module that is used as a value can't be followed, nor what is looked up at run time: both are refused. It must not
know what the names will be.
"""

from __future__ import annotations

import ast

from thermokeeper.errors import ToolError
from thermokeeper.release.merging.linking import Program
from thermokeeper.release.merging.scopes import Use
from thermokeeper.release.merging.symbols import Alias, Mention, Symbol
from thermokeeper.release.merging.text import Span

_AT_RUN_TIME = ("globals", "locals", "vars", "dir", "exec", "eval", "__import__")
_OF_THE_FILE = ("__file__", "__path__", "__package__")


def find_mentions(program: Program) -> None:
    """Fill in the mentions of a linked program and of its symbols."""
    for module in program.modules:
        _Mentions(program).link(module)


class _Mentions:
    def __init__(self, program: Program) -> None:
        self._program = program

    def link(self, module: str) -> None:
        contents = self._program.contents[module]
        group = self._program.modules[module].group
        compared = _compared_with_main(contents.source.tree)
        for use in contents.uses:
            scope = use.scope.owner(use.name)
            if scope is not None and scope.kind == "class" and not use.binds and contents.scope.bound[use.name]:
                # before the class binds it, it is the module's
                raise self._refused(module, use, "the class and the module have it; rename one of them")
            if scope is None:
                self._builtin(use, module, compared)
                self._program.builtins[group].add(use.name)
                continue
            entry = (
                self._program.entry(module, use.name)
                if scope is contents.scope
                else self._program.locals.get((scope, use.name))
            )
            if isinstance(entry, Symbol):
                if use.binds and use.scope.deferred:
                    entry.rebound = True
                self._mention(Mention(contents, use.scope, use.span, use.name, (entry,), use.binds))
            elif isinstance(entry, Alias):
                self._link_chain(module, use, entry)

    def _link_chain(self, module: str, use: Use, alias: Alias) -> None:
        """`alias.a.b` up to the first name that is none of a module's."""
        group = self._program.modules[module].group
        name = alias.module
        old = [use.name]
        for attribute in use.attributes:
            self._program.module_attributes.add(attribute)
            old.append(attribute.attr)
            if f"{name}.{attribute.attr}" in self._program.packages:
                name = f"{name}.{attribute.attr}"
                continue
            entry = self._program.entry(name, attribute.attr) if name in self._program.modules else None
            if isinstance(entry, Alias):
                name = entry.module
                continue
            if entry is None:
                raise self._refused(module, use, f"{name} has no {attribute.attr}")
            stored = not isinstance(attribute.ctx, ast.Load)
            parts: tuple[Symbol | str, ...] = (entry,)
            if entry.group is not group:
                entry.outside = True
                entry.rebound = entry.rebound or stored
                if alias.head is None or not f"{entry.group.name}.".startswith(alias.base + "."):
                    raise self._refused(module, use, f"import {entry.group.name} itself to use {'.'.join(old)}")
                middle = entry.group.name[len(alias.base) + 1 :].split(".")
                parts = (alias.head, *(part for part in middle if part), entry)
            elif stored:
                raise self._refused(module, use, f"{'.'.join(old)} is assigned here; let {name} have a function for it")
            end = attribute.end_lineno, attribute.end_col_offset
            if end[0] != use.span.line or end[1] is None:
                raise self._refused(module, use, f"write {'.'.join(old)} on one line")
            span = Span(use.span.line, use.span.column, end[0], end[1])
            self._mention(Mention(self._program.contents[module], use.scope, span, ".".join(old), parts))
            return
        raise self._refused(module, use, f"the module {use.name} is used as a value, which can't be followed")

    def _mention(self, mention: Mention) -> None:
        self._program.mentions.append(mention)
        head = mention.parts[0]
        if isinstance(head, Symbol):
            head.mentions.append(mention)

    def _builtin(self, use: Use, module: str, compared: set[tuple[int, int]]) -> None:
        if use.name in _AT_RUN_TIME:
            raise self._refused(module, use, f"{use.name}() looks names up while the program runs, and they change")
        alone = len(self._program.modules[module].group.modules) == 1
        if not alone and (
            use.name in _OF_THE_FILE or use.name == "__name__" and (use.span.line, use.span.column) not in compared
        ):
            raise self._refused(module, use, f"{use.name} isn't what it was once the module is merged")

    def _refused(self, module: str, use: Use, why: str) -> ToolError:
        return ToolError(f"{self._program.modules[module].path}:{use.span.line}: {why}")


def _compared_with_main(tree: ast.Module) -> set[tuple[int, int]]:
    """Where `__name__` stands in `__name__ == "__main__"`: that is false before and after."""
    return {
        (node.left.lineno, node.left.col_offset)
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare)
        and isinstance(node.left, ast.Name)
        and len(node.comparators) == 1
        and isinstance(node.comparators[0], ast.Constant)
        and node.comparators[0].value == "__main__"
    }
