"""The text of a merged module: the modules that it is made of, one behind the other, each line where it was in its own.

Names are changed in place. An import that a module of the folder has made already, or that is of the folder itself,
becomes `pass`.
"""

from __future__ import annotations

import ast

from thermokeeper.release.merging.imports import Binding
from thermokeeper.release.merging.layout import Module
from thermokeeper.release.merging.linking import Program
from thermokeeper.release.merging.symbols import Symbol
from thermokeeper.release.merging.text import Span, span_of


def write(program: Program, order: list[Module]) -> dict[str, list[tuple[Module, bytes]]]:
    """Path of a merged module -> the texts that follow each other in it."""
    for mention in program.mentions:
        new = ".".join(part.final if isinstance(part, Symbol) else part for part in mention.parts)
        if new != mention.old:
            old = mention.old if "." not in mention.old else None
            mention.contents.source.replace(mention.span, new, old)
    made: set[Symbol] = set()
    texts: dict[str, list[tuple[Module, bytes]]] = {}
    for module in order:
        _write_imports(program, module, made)
        text = program.contents[module.name].source.changed()
        texts.setdefault(module.group.path, []).append((module, text))
    return texts


def _write_imports(program: Program, module: Module, made: set[Symbol]) -> None:
    source = program.contents[module.name].source
    statements: dict[Span, list[tuple[str, str]]] = {}
    changed = set()
    for binding in program.bindings[module.name]:
        span = span_of(binding.statement.node)
        pieces = statements.setdefault(span, [])
        meant = program.kept[binding]
        old = _piece(binding.base, binding.name, binding.local, binding)
        if meant is None or isinstance(meant, Symbol) and not meant.origin and meant in made:
            changed.add(span)
            continue
        if isinstance(meant, Symbol):
            made.add(meant)
        new = _new_piece(program, binding, meant.final if isinstance(meant, Symbol) else meant)
        pieces.append(new)
        node = binding.statement.node
        if new != old or isinstance(node, ast.ImportFrom) and node.level:
            changed.add(span)
    for span in changed:
        source.replace(span, _statements(statements[span]))


def _new_piece(program: Program, binding: Binding, local: str) -> tuple[str, str]:
    if binding.module:
        if binding.root_only:
            return "", program.modules[binding.base].group.name
        parent, _, last = program.modules[binding.module].group.name.rpartition(".")
        return _piece(parent or last, last if parent else "", local, binding)
    if binding.source:
        target = program.targets.get(binding)
        name = target.final if target else binding.name
        return _piece(program.modules[binding.source].group.name, name, local, binding)
    return _piece(binding.base, binding.name, local, binding)


def _piece(base: str, name: str, local: str, binding: Binding) -> tuple[str, str]:
    """(where from, what); where from is "" for `import what`."""
    if name:
        return base, name if name == local else f"{name} as {local}"
    return "", base if base == local or binding.root_only else f"{base} as {local}"


def _statements(pieces: list[tuple[str, str]]) -> str:
    """Import statements in one line; what comes from one module is in one."""
    lines: list[tuple[str, list[str]]] = []
    for base, what in pieces:
        if lines and lines[-1][0] == base:
            if what not in lines[-1][1]:
                lines[-1][1].append(what)
        else:
            lines.append((base, [what]))
    written = [f"from {base} import {', '.join(what)}" if base else f"import {', '.join(what)}" for base, what in lines]
    return "; ".join(written) or "pass"
