"""What stands in a Python file: every name with the scope that it belongs to, every attribute, every import.

The rules are Python's (and MicroPython's): a name belongs to the innermost function that binds it, else to the module,
else it is built in; a class's own names are seen in its body only. It must not know other files.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from dataclasses import dataclass, field

from thermokeeper.errors import ToolError
from thermokeeper.release.merging.text import Source, Span, span_of

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_SHOWS_NAME = re.compile(rb"\{[^{}=!<>]*[^{}=!<>\s]\s*=\s*[}!:]")
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)


class Scope:
    """kind: "module", "class" or "function" (a comprehension is one). deferred: runs when called, not at import."""

    def __init__(self, kind: str, parent: Scope | None, node: ast.AST, deferred: bool) -> None:
        self.kind = kind
        self.parent = parent
        self.node = node
        self.deferred = deferred
        self.bound: Counter[str] = Counter()  # how often something binds the name
        self.globals: set[str] = set()
        self.nonlocals: set[str] = set()

    @property
    def module(self) -> Scope:
        """The file's own scope."""
        return self.parent.module if self.parent else self

    def owner(self, name: str) -> Scope | None:
        """The scope that a name belongs to when it is used here; None if nothing in the file binds it."""
        if name in self.globals:
            return self.module
        if self.bound[name] and name not in self.nonlocals:
            return self
        scope = self.parent
        while scope and scope.parent:
            if scope.kind == "function" and name in scope.globals:
                return scope.module
            if scope.kind == "function" and scope.bound[name] and name not in scope.nonlocals:
                return scope
            scope = scope.parent
        return self.module if self.module.bound[name] else None

    def chain(self) -> list[Scope]:
        """The scopes, the module's left out, whose names hide a module's name from code that stands here."""
        found = [self] if self.parent else []
        scope = self.parent
        while scope and scope.parent:
            if scope.kind == "function":
                found.append(scope)
            scope = scope.parent
        return found


@dataclass(eq=False)
class Use:
    """A name in the text. binds: it gets a value. attributes: what is asked of it, in `a.b.c` .b and .c."""

    name: str
    span: Span
    scope: Scope
    binds: bool = False
    attributes: tuple[ast.Attribute, ...] = ()


@dataclass(eq=False)
class Import:
    """An import statement. top: it stands in the module's own body, where nothing can skip it."""

    node: ast.Import | ast.ImportFrom
    scope: Scope
    top: bool


@dataclass(eq=False)
class Contents:
    """All that was found in one file."""

    source: Source
    scope: Scope
    uses: list[Use] = field(default_factory=list)
    attributes: list[tuple[ast.Attribute, Use | None]] = field(default_factory=list)  # with the name that it begins at
    imports: list[Import] = field(default_factory=list)
    functions: list[tuple[Function, Scope]] = field(default_factory=list)  # with the scope of its inside
    classes: list[tuple[ast.ClassDef, Scope]] = field(default_factory=list)
    strings: set[str] = field(default_factory=set)  # without documentation
    keywords: set[str] = field(default_factory=set)  # names of arguments in calls
    calls: list[tuple[ast.Call, Scope]] = field(default_factory=list)
    decorators: list[tuple[ast.expr, Scope]] = field(default_factory=list)


def read(source: Source) -> Contents:
    """Look through a file. ToolError for syntax that device code hasn't."""
    found = Contents(source, Scope("module", None, source.tree, False))
    reader = _Reader(found)
    for statement in source.tree.body:
        reader.visit(statement)
    for use in found.uses:
        if use.binds:
            (use.scope.module if use.name in use.scope.globals else use.scope).bound[use.name] += 1
    return found


class _Reader(ast.NodeVisitor):
    def __init__(self, found: Contents) -> None:
        self._found = found
        self._source = found.source
        self._scope = found.scope

    # names

    def visit_Name(self, node: ast.Name) -> None:
        self._use(node.id, span_of(node), not isinstance(node.ctx, ast.Load))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        chain = [node]
        while isinstance(chain[-1].value, ast.Attribute):
            chain.append(chain[-1].value)
        start = chain[-1].value
        use = None
        if isinstance(start, ast.Name):
            use = self._use(start.id, span_of(start), False, tuple(reversed(chain)))
        else:
            self.visit(start)
        self._found.attributes.extend((one, use) for one in chain)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        self._use(node.target.id, span_of(node.target), False)
        scope = self._scope
        while isinstance(scope.node, _COMPREHENSIONS) and scope.parent:
            scope = scope.parent
        (scope.module if node.target.id in scope.globals else scope).bound[node.target.id] += 1

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.type:
            self.visit(node.type)
        if node.name and node.type:
            end = span_of(node.type)
            words = self._source.words_from(end.end_line, end.end_column)
            self._use(node.name, next(word.span for word in words if word.text == node.name), True)
        self._all(node.body)

    def visit_Global(self, node: ast.Global) -> None:
        self._scope.globals.update(node.names)
        self._declared(node)

    def visit_Nonlocal(self, node: ast.Nonlocal) -> None:
        self._scope.nonlocals.update(node.names)
        self._declared(node)

    def _declared(self, node: ast.Global | ast.Nonlocal) -> None:
        words = self._source.words_from(node.lineno, node.col_offset)[1 : len(node.names) + 1]
        for name, word in zip(node.names, words, strict=True):
            self._use(name, word.span, False)

    def _use(
        self, name: str, span: Span, binds: bool, attributes: tuple[ast.Attribute, ...] = (), scope: Scope | None = None
    ) -> Use:
        use = Use(name, span, scope or self._scope, binds, attributes)
        self._found.uses.append(use)
        return use

    # scopes

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._decorators(node.decorator_list)
        self._use(node.name, self._name_behind(node, "def", node.name), True)
        if node.returns:
            self.visit(node.returns)
        self._function(node, node.args, node.body)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._function(node, node.args, [node.body])

    def _function(self, node: Function, arguments: ast.arguments, body: list[ast.stmt] | list[ast.expr]) -> None:
        self._all([*arguments.defaults, *(default for default in arguments.kw_defaults if default)])
        inside = Scope("function", self._scope, node, True)
        self._found.functions.append((node, inside))
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        for argument in [*every, *(one for one in (arguments.vararg, arguments.kwarg) if one)]:
            if argument.annotation:
                self.visit(argument.annotation)
            at = span_of(argument)
            size = len(argument.arg.encode())
            self._use(argument.arg, Span(at.line, at.column, at.line, at.column + size), True, scope=inside)
        self._inside(inside, body)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._decorators(node.decorator_list)
        self._all([*node.bases, *(keyword.value for keyword in node.keywords)])
        self._use(node.name, self._name_behind(node, "class", node.name), True)
        inside = Scope("class", self._scope, node, self._scope.deferred)
        self._found.classes.append((node, inside))
        self._inside(inside, node.body)

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> None:
        first = node.generators[0]
        self.visit(first.iter)
        outside, self._scope = self._scope, Scope("function", self._scope, node, self._scope.deferred)
        for generator in node.generators:
            self.visit(generator.target)
            if generator is not first:
                self.visit(generator.iter)
            self._all(generator.ifs)
        self._all([node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt])
        self._scope = outside

    visit_ListComp = visit_SetComp = visit_GeneratorExp = visit_DictComp = _comprehension

    def _decorators(self, nodes: list[ast.expr]) -> None:
        self._found.decorators.extend((node, self._scope) for node in nodes)
        self._all(nodes)

    def _inside(self, scope: Scope, body: list[ast.stmt] | list[ast.expr]) -> None:
        outside, self._scope = self._scope, scope
        self._all(body)
        self._scope = outside

    def _name_behind(self, node: ast.stmt, keyword: str, name: str) -> Span:
        words = self._source.words_from(node.lineno, node.col_offset)
        at = next(number for number, word in enumerate(words) if word.text == keyword)
        if words[at + 1].text != name:
            raise AssertionError(f"{self._source.path}:{node.lineno}: no name behind {keyword}")
        return words[at + 1].span

    def _all(self, nodes: list[ast.expr] | list[ast.stmt]) -> None:
        for node in nodes:
            self.visit(node)

    # the rest

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        self._found.imports.append(Import(node, self._scope, node in self._source.tree.body))
        for alias in node.names:
            bound = alias.asname or alias.name.split(".")[0]
            scope = self._scope.module if bound in self._scope.globals else self._scope
            scope.bound[bound] += 1

    visit_Import = visit_ImportFrom = _import

    def visit_Call(self, node: ast.Call) -> None:
        self._found.calls.append((node, self._scope))
        self._found.keywords.update(keyword.arg for keyword in node.keywords if keyword.arg)
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # documentation
            self.visit(node.value)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bytes):
            self._found.strings.add(node.value.decode("latin-1"))
        elif isinstance(node.value, str):
            self._found.strings.add(node.value)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        lines = self._source.lines[node.lineno - 1 : node.end_lineno]
        if any(_SHOWS_NAME.search(line) for line in lines):
            raise ToolError(
                f"{self._source.path}:{node.lineno}: an f-string shows a name with {{name=}}, and it changes"
            )
        self.generic_visit(node)

    def visit_Match(self, node: ast.Match) -> None:
        raise ToolError(f"{self._source.path}:{node.lineno}: MicroPython has no match statement")
