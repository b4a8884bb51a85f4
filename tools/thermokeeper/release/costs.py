"""What a release costs a board and its network, in lines for a person: heap by module, bytes of a change of code.

It knows what a product's modules are called (`layout.STARTED`) and what the budget is, not how modules are weighed.
"""

from __future__ import annotations

from collections.abc import Iterable

from keeper.board.layout import REUSING
from keeper.release import Manifest
from thermokeeper.release import budget
from thermokeeper.release.examining import HEADERS_SIZE
from thermokeeper.release.merging.layout import STARTED
from thermokeeper.release.weighing import Weights

_SERVICES = "keeper.services."
_SHOWN = 5


def memory_lines(weights: Weights) -> tuple[list[str], list[str]]:
    """(what to tell, what to warn of) of a release's modules."""
    apps = [name for name in weights.own if name.count(".") == 1 and name.split(".")[1] == STARTED[0]]
    services = [name for name in weights.own if name.startswith(_SERVICES) and f"{name}.joining" in weights.own]
    each = [weights.loaded(*apps, service) for service in services] or [weights.loaded(*apps)]
    always = max(each, key=lambda one: _sum(weights, one))
    idle = budget.MAIN + _sum(weights, always) + budget.OBJECTS
    told = [
        f"memory, estimated: {_kb(idle)} of {_kb(budget.IDLE)} KB of heap when idle, {_list(weights, always)}",
        f"modules that come and go: {_list(weights, weights.own.keys() - always)}",
    ]
    warned = [f"{name} can't be weighed here: {why}" for name, why in sorted(weights.failed.items())]
    if idle > budget.IDLE:
        warned.append(
            f"what is always loaded leaves an update too little memory: {_kb(idle)} KB, {_kb(budget.IDLE)} may be; "
            "put what isn't needed all the time into folders of their own, loaded when it is (docs/memory.md)"
        )
    return told, warned


def download_line(manifest: Manifest) -> str:
    """What a board downloads if MicroPython is the one that it has, and no block of Python code is."""
    size = HEADERS_SIZE + manifest.fs.stored
    share = 100 * size / manifest.file_size
    hint = (
        "; --known tells what it is from an earlier release"
        if manifest.fs.encoding == REUSING
        else "; with --compress only what has changed"
    )
    return f"all Python code, where MicroPython stays the same: {size} bytes to download, {share:.1f} % of all{hint}"


def _sum(weights: Weights, names: frozenset[str]) -> int:
    return sum(weights.own.get(name, 0) for name in names)


def _list(weights: Weights, names: Iterable[str]) -> str:
    """The largest of these modules, and what the others are together."""
    own = sorted(((weights.own.get(name, 0), name) for name in names), reverse=True)
    parts = [f"{name} {_kb(size)}" for size, name in own[:_SHOWN]]
    rest = sum(size for size, _ in own[_SHOWN:])
    return ", ".join([*parts, *([f"{len(own) - _SHOWN} others {_kb(rest)}"] if own[_SHOWN:] else [])])


def _kb(size: int) -> str:
    return f"{size / 1000:.1f}".removesuffix(".0")
