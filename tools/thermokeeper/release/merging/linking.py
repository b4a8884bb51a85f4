"""What the global names of every file mean: which global of which merged module, or which module.

A name that was imported from a module of the same folder is that module's own name after merging; one of another
folder's stays an import. A name that is bound twice can't be followed, and is refused. It must not know what the names
will be.
"""

from __future__ import annotations

import ast
from collections import defaultdict

from thermokeeper.errors import ToolError
from thermokeeper.release.merging.imports import Binding, bindings
from thermokeeper.release.merging.layout import Group, Module
from thermokeeper.release.merging.scopes import Contents, Scope
from thermokeeper.release.merging.symbols import Alias, Entry, Mention, Symbol


class Program:
    """All files of a release, linked. kept: what each import statement's name is after merging; None: it vanishes."""

    def __init__(self, modules: dict[str, Module], contents: dict[str, Contents]) -> None:
        self.modules = modules
        self.contents = contents
        self.symbols: list[Symbol] = []
        self.mentions: list[Mention] = []
        self.builtins: dict[Group, set[str]] = defaultdict(set)
        self.module_attributes: set[ast.Attribute] = set()  # not attributes of objects
        self.kept: dict[Binding, Symbol | str | None] = {}
        self.targets: dict[Binding, Symbol] = {}  # what is imported from another merged module
        self.bindings = {name: list(bindings(contents[name], modules[name], modules)) for name in modules}
        self._tables: dict[str, dict[str, Entry | None]] = {name: {} for name in modules}
        self._shared: dict[tuple[Group, str, str, Symbol | None], Symbol] = {}
        self.locals: dict[tuple[Scope, str], Entry] = {}
        self.packages = {".".join(name.split(".")[:count]) for name in modules for count in range(1, 9)}
        self._by_place: dict[tuple[Scope, str], list[Binding]] = defaultdict(list)
        for found in self.bindings.values():
            for binding in found:
                self._by_place[binding.scope, binding.local].append(binding)
        for name in modules:
            for local in list(contents[name].scope.bound):
                self.entry(name, local)
        for name in modules:
            self._link_functions(name)
            self._refuse_ambiguous(name)

    def symbol(self, module: str, name: str) -> Symbol | None:
        """The global that a module's name is."""
        found = self.entry(module, name)
        return found if isinstance(found, Symbol) else None

    # what a module's global names are

    def entry(self, module: str, name: str) -> Entry | None:
        table = self._tables[module]
        if name not in table:
            table[name] = None  # an import that leads back to itself finds nothing
            table[name] = self._make_entry(module, name)
        return table[name]

    def _make_entry(self, module: str, name: str) -> Entry | None:
        scope = self.contents[module].scope
        if not scope.bound[name]:
            return None
        found = self._by_place[scope, name]
        group = self.modules[module].group
        own = [entry for entry in (self._own(binding, group) for binding in found) if entry]
        if own:
            return self._agreed(module, name, found, own, scope)
        once = scope.bound[name] == 1
        if found and once and found[0].module:
            return self._module_alias(found[0], module)
        if found and once and found[0].statement.top and not found[0].root_only:
            return self._shared_import(found[0], group)
        symbol = self._new(Symbol(group, [name], module))
        symbol.fixed = any(binding.root_only for binding in found)
        for binding in found:
            self.kept[binding] = symbol
            if binding.module:
                raise self._twice(module, binding)
            self._target(binding)
        return symbol

    def _own(self, binding: Binding, group: Group) -> Entry | None:
        """What the import means if it is of the same merged module; None if it isn't."""
        loaded = self.modules.get(binding.loaded)
        if not loaded or loaded.group is not group:
            return None
        if binding.module:
            return Alias(binding.module)
        return self.entry(binding.source, binding.name)

    def _agreed(self, module: str, name: str, found: list[Binding], own: list[Entry], scope: Scope) -> Entry:
        """The one thing that all imports of a name mean."""
        meant = {entry.module if isinstance(entry, Alias) else entry for entry in own}
        if len(own) != scope.bound[name] or len(meant) != 1:
            raise self._twice(module, found[0])
        for binding in found:
            self.kept[binding] = None
        if isinstance(own[0], Symbol) and self._is_rebound(own[0]):
            line = found[0].statement.node.lineno
            raise ToolError(
                f"{self.modules[module].path}:{line}: {found[0].name} is assigned again while {found[0].source} runs, "
                f"and merging would show it; import the module and write {found[0].source.split('.')[-1]}.{name}"
            )
        return own[0]

    def _is_rebound(self, symbol: Symbol) -> bool:
        return bool(symbol.origin) and any(
            use.binds and use.scope.parent and use.name in use.scope.globals and use.name in symbol.wanted
            for use in self.contents[symbol.origin].uses
        )

    def _module_alias(self, binding: Binding, module: str) -> Alias:
        """A module of another folder, at the top of this one."""
        group = self.modules[module].group
        base = self._base(binding)
        if binding.root_only or not binding.statement.top:
            symbol = self._new(Symbol(group, [binding.local], module, fixed=binding.root_only))
        else:
            symbol = self._share(group, base, "", None, [base.split(".")[-1], binding.local])
            symbol.module = base
        self.kept[binding] = symbol
        return Alias(binding.module, base, symbol)

    def _base(self, binding: Binding) -> str:
        return binding.local if binding.root_only else self.modules[binding.module].group.name

    def _shared_import(self, binding: Binding, group: Group) -> Symbol:
        """Something from elsewhere: all modules of a folder that import it share one name for it."""
        target = self._target(binding)
        wanted = [target.wanted[0], binding.local] if target else [binding.local]
        symbol = self._share(group, "" if target else binding.base, "" if target else binding.name, target, wanted)
        symbol.imported = target
        symbol.fixed = (binding.base, binding.name) == ("micropython", "const")  # its compiler knows it by that name
        self.kept[binding] = symbol
        return symbol

    def _target(self, binding: Binding) -> Symbol | None:
        """The name of another merged module that is imported; None if it is none, or isn't there."""
        if not binding.source:
            return None
        target = self.entry(binding.source, binding.name)
        if isinstance(target, Alias):
            where = f"{self.modules[binding.source].path} imports as {binding.name}"
            raise ToolError(f"{self._place(binding)}: a module that {where} can't be imported from there")
        if target:
            target.outside = True
            self.targets[binding] = target
        return target

    def _share(self, group: Group, base: str, name: str, target: Symbol | None, wanted: list[str]) -> Symbol:
        key = (group, base, name, target)
        if key not in self._shared:
            self._shared[key] = self._new(Symbol(group, []))
        symbol = self._shared[key]
        symbol.wanted += [one for one in wanted if one not in symbol.wanted]
        return symbol

    def _new(self, symbol: Symbol) -> Symbol:
        self.symbols.append(symbol)
        return symbol

    # imports inside functions

    def _link_functions(self, module: str) -> None:
        own = self.modules[module]
        for binding in self.bindings[module]:
            if binding in self.kept or binding.scope is self.contents[module].scope:
                continue
            place = (binding.scope, binding.local)
            here = [entry for entry in (self._own(one, own.group) for one in self._by_place[place]) if entry]
            if here:
                self.locals[place] = self._agreed(module, binding.local, self._by_place[place], here, binding.scope)
            else:
                self.kept[binding] = binding.local
                if binding.module:
                    if binding.scope.bound[binding.local] != 1:
                        raise self._twice(module, binding)
                    self.locals[place] = Alias(binding.module, self._base(binding), binding.local)
                self._target(binding)
            if binding.scope.kind == "class" and binding.loaded:
                raise ToolError(f"{self._place(binding)}: an import in the body of a class can't be merged")

    # refusals

    def _refuse_ambiguous(self, module: str) -> None:
        """A name that a package gives to something, and a module in it has; or a module that goes, named in a text."""
        for name in self.contents[module].scope.bound:
            child = f"{module}.{name}"
            entry = self.entry(module, name)
            if child in self.modules and not (isinstance(entry, Alias) and entry.module == child):
                path = self.modules[module].path
                raise ToolError(f"{path}: {name} is something else than the module {child}; rename one of them")
        for text in self.contents[module].strings:
            if "." in text and text in self.modules and self.modules[text].group.name != text:
                where = f"merged into {self.modules[text].group.name}"
                raise ToolError(f'{self.modules[module].path}: "{text}" names a module that is {where}')

    def _twice(self, module: str, binding: Binding) -> ToolError:
        return ToolError(f"{self._place(binding)}: {binding.local} is bound by more than this import; rename it")

    def _place(self, binding: Binding) -> str:
        for name, found in self.bindings.items():
            if binding in found:
                return f"{self.modules[name].path}:{binding.statement.node.lineno}"
        raise AssertionError("an import of no file")
