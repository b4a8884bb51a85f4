"""The modules of a folder become one module, and names that nobody else sees become short: less to load, less to keep.

Pure: text in, text out. Each line stays a line of the merged module, and a `SourceMap` leads from there back.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from thermokeeper.release.merging.layout import arrange
from thermokeeper.release.merging.linking import Program
from thermokeeper.release.merging.mentions import find_mentions
from thermokeeper.release.merging.naming import name_all
from thermokeeper.release.merging.order import in_order
from thermokeeper.release.merging.scopes import read
from thermokeeper.release.merging.shortening import shorten_all
from thermokeeper.release.merging.spoken import Spoken
from thermokeeper.release.merging.starting import hold_names
from thermokeeper.release.merging.text import Source
from thermokeeper.release.merging.writing import write
from thermokeeper.release.tracing import MergedModule, SourceMap


def pack_modules(files: dict[str, bytes], *, shorten: bool = True) -> tuple[dict[str, bytes], SourceMap]:
    """A release's files, by their paths below lib/, with the .py ones merged; ToolError for code that can't be.

    The modules of a folder become one (`layout`); boot.py and main.py (in board/), `trust` and other files stay.
    """
    modules = arrange(files)
    written = {module.path for module in modules.values()}
    others = {path: content for path, content in files.items() if path not in written}
    contents = {name: read(Source(module.path, name, files[module.path])) for name, module in modules.items()}
    program = Program(modules, contents)
    find_mentions(program)
    hold_names(program, others)
    spoken = Spoken(program, others.values())
    order = in_order(program)
    name_all(program, order, spoken.looked_up)
    short = shorten_all(program, order, spoken) if shorten else {}
    merged = dict(others)
    found = SourceMap(names={name: tuple(sorted(old)) for name, old in sorted(short.items())})
    for path, parts in write(program, order).items():
        merged[path] = b"".join(text for _, text in parts)
        line = 1
        segments, functions = [], []
        for module, text in parts:
            segments.append((line, module.path, 1))
            tree = contents[module.name].source.tree
            functions += [(line + first - 1, line + last - 1, name) for first, last, name in _functions(tree, "")]
            line += text.count(b"\n")
        found.modules[parts[0][0].group.name] = MergedModule(tuple(segments), tuple(functions))
    return dict(sorted(merged.items())), found


def _functions(node: ast.AST, around: str) -> Iterator[tuple[int, int, str]]:
    """First and last line of each function and class, with its name in those around it."""
    for child in ast.iter_child_nodes(node):
        name = around
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{around}.{child.name}" if around else child.name
            first = min([child.lineno, *(decorator.lineno for decorator in child.decorator_list)])
            yield first, child.end_lineno or first, name
        yield from _functions(child, name)
