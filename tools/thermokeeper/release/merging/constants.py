"""Whole numbers that never change become MicroPython's `const`: put in where they are used, kept nowhere.

Only such as no other merged module asks for. It must not know short names.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Iterator
from operator import add, and_, floordiv, invert, lshift, mod, mul, neg, or_, pos, rshift, sub, xor

from thermokeeper.release.merging.layout import Module
from thermokeeper.release.merging.linking import Program
from thermokeeper.release.merging.spoken import Spoken
from thermokeeper.release.merging.symbols import Mention, Symbol
from thermokeeper.release.merging.text import Source, Span, span_of

_LIMIT = 1 << 30  # beyond it a number is an object on a 32-bit chip
_SHIFT_LIMIT = 64
_BINARY: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: add,
    ast.Sub: sub,
    ast.Mult: mul,
    ast.FloorDiv: floordiv,
    ast.Mod: mod,
    ast.LShift: lshift,
    ast.RShift: rshift,
    ast.BitAnd: and_,
    ast.BitOr: or_,
    ast.BitXor: xor,
}
_UNARY: dict[type[ast.unaryop], Callable[[int], int]] = {ast.USub: neg, ast.UAdd: pos, ast.Invert: invert}


def make_constants(program: Program, order: list[Module], spoken: Spoken) -> set[Symbol]:
    """Change the text; the symbols that are constants now, each with a final name of its own."""
    rank = {module.name: number for number, module in enumerate(order)}
    names = (name for name in (f"_C{number}" for number in itertools.count(1)) if name not in spoken.everything)
    values: dict[Symbol, int] = {}
    for module in order:
        contents = program.contents[module.name]
        for target, value, explicit in _assignments(contents.source):
            symbol = program.symbol(module.name, target.id)
            if not symbol or symbol.outside or not spoken.is_free(symbol) or symbol.rebound:
                continue
            if contents.scope.bound[target.id] != 1:
                continue
            number = _number(value, dict(_known(program, module, values)))
            first = (rank[module.name], target.lineno, target.col_offset)
            # MicroPython knows a constant from its line on.
            if number is None or abs(number) >= _LIMIT or min(_place(one, rank) for one in symbol.mentions) < first:
                continue
            values[symbol] = number
            symbol.final = next(names)
            if not explicit:
                at = span_of(value)
                contents.source.replace(Span(at.line, at.column, at.line, at.column), "const(")
                contents.source.replace(Span(at.end_line, at.end_column, at.end_line, at.end_column), ")")
    return set(values)


def _known(program: Program, module: Module, values: dict[Symbol, int]) -> Iterator[tuple[str, int]]:
    """What a module's names are, of those that are constants already."""
    for name in program.contents[module.name].scope.bound:
        symbol = program.symbol(module.name, name)
        if symbol in values:
            yield name, values[symbol]


def _assignments(source: Source) -> Iterator[tuple[ast.Name, ast.expr, bool]]:
    """What the module's body assigns to one name: name, value, whether it stands in `const()`."""
    for node in source.tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            target, value, explicit = node.targets[0], node.value, False
            between = source.lines[value.lineno - 1][target.end_col_offset : value.col_offset]
            if value.lineno != target.lineno or between.strip() != b"=":
                continue  # a parenthesis, in which MicroPython wouldn't know a constant
            if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "const":
                value, explicit = value.args[0], True
            yield target, value, explicit


def _number(node: ast.expr, known: dict[str, int]) -> int | None:
    """The value of an expression that MicroPython's compiler can work out, too."""
    if isinstance(node, ast.Constant):
        return node.value if type(node.value) is int else None
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.UnaryOp) and type(node.op) in _UNARY:
        number = _number(node.operand, known)
        return None if number is None else _UNARY[type(node.op)](number)
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        left, right = _number(node.left, known), _number(node.right, known)
        if left is None or right is None:
            return None
        if isinstance(node.op, ast.LShift | ast.RShift) and not 0 <= right < _SHIFT_LIMIT:
            return None
        if isinstance(node.op, ast.FloorDiv | ast.Mod) and not right:
            return None
        return _BINARY[type(node.op)](left, right)
    return None


def _place(mention: Mention, rank: dict[str, int]) -> tuple[int, int, int]:
    return rank[mention.contents.source.module], mention.span.line, mention.span.column
