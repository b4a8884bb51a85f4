"""What a name in a release's files can mean: a global of a merged module, or a module; and where it is mentioned."""

from __future__ import annotations

from dataclasses import dataclass, field

from thermokeeper.release.merging.layout import Group
from thermokeeper.release.merging.scopes import Contents, Scope
from thermokeeper.release.merging.text import Span


@dataclass(eq=False)
class Symbol:
    """A global name of a merged module. origin: the module that defines it, "" for what several may import.

    wanted: the names that it may get, best first. final: the one it gets. imported: the name of another merged module
    that it is. module: the merged module that it is. outside: another merged module asks for it by name. rebound: it is
    assigned while functions run. fixed: it can't have another name.
    """

    group: Group
    wanted: list[str]
    origin: str = ""
    imported: Symbol | None = None
    module: str = ""
    outside: bool = False
    rebound: bool = False
    fixed: bool = False
    final: str = ""
    mentions: list[Mention] = field(default_factory=list)


@dataclass(eq=False)
class Alias:
    """A local name that stands for a module. head: what it is bound to after merging; None: the import vanishes."""

    module: str
    base: str = ""  # the merged module that the name stands for then
    head: Symbol | str | None = None


@dataclass(eq=False)
class Mention:
    """A place in the text that becomes the names of `parts`, with dots between them."""

    contents: Contents
    scope: Scope
    span: Span
    old: str
    parts: tuple[Symbol | str, ...]
    binds: bool = False


Entry = Symbol | Alias
