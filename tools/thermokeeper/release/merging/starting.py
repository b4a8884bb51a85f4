"""What boot.py and main.py import from the application: they stay as they are, so it must keep its name and place.

A product's own main.py needn't be in the release. So the functions and classes of a module that is started by name
(`layout.STARTED`) keep their names as well.
"""

from __future__ import annotations

import ast

from thermokeeper.errors import ToolError
from thermokeeper.release.merging.layout import is_started
from thermokeeper.release.merging.linking import Program


def hold_names(program: Program, others: dict[str, bytes]) -> None:
    """Mark what the files that aren't merged import; ToolError if merging would take it away."""
    for name, module in program.modules.items():
        if is_started(module.path):
            for made in program.contents[name].source.tree.body:
                if isinstance(made, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and made.name[0] != "_":
                    _mark(program, name, made.name)
    for path, content in others.items():
        if path.endswith(".py"):
            try:
                tree = ast.parse(content, path)
            except (SyntaxError, ValueError) as error:
                raise ToolError(f"{path} doesn't parse: {error}") from None
            for node in ast.walk(tree):
                if isinstance(node, ast.Import):
                    for alias in node.names:
                        _hold(program, path, node.lineno, alias.name, "")
                elif isinstance(node, ast.ImportFrom) and node.module:
                    for alias in node.names:
                        _hold(program, path, node.lineno, node.module, alias.name)


def _hold(program: Program, path: str, line: int, base: str, name: str) -> None:
    wanted = base if not name or f"{base}.{name}" not in program.modules else f"{base}.{name}"
    module = program.modules.get(wanted)
    if not module:
        return
    if module.group.name != module.name:
        into = module.group.name
        raise ToolError(f"{path}:{line} imports {wanted}, which is merged into {into}; import that, or use app or safe")
    if not name or wanted != base:  # the module itself: any of its names may be asked for
        for one in list(program.contents[wanted].scope.bound):
            _mark(program, wanted, one)
    else:
        _mark(program, wanted, name)


def _mark(program: Program, module: str, name: str) -> None:
    symbol = program.symbol(module, name)
    if symbol:
        symbol.outside = symbol.fixed = True
