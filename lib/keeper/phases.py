"""What only a part of a board's life needs is loaded when that part begins and forgotten when it ends.

A folder of keeper is a phase: its modules are loaded together and forgotten together, so that the heap has room for the
next one. Two rules make that work, and a test watches them: nothing but plain values leaves a phase, because an
instance keeps its whole module alive; and a phase is forgotten by who began it, after it has returned, because what is
on the stack is kept alive, too. docs/memory.md has the table. Must not know what any phase is about.
"""

import gc
import sys

# What a phase opened and can't close: stock MicroPython never closes a handle of NVS. {namespace: handle}
handles = {}

# All of keeper that isn't needed all the time; the services' own parts are named by their services.
_KEEPERS = (
    "keeper.admitting",
    "keeper.assembling",
    "keeper.board",
    "keeper.booting",
    "keeper.changing",
    "keeper.explaining",
    "keeper.factory",
    "keeper.imaging",
    "keeper.inflating",
    "keeper.keeping",
    "keeper.nvs",
    "keeper.redirecting",
    "keeper.release",
    "keeper.remembering",
    "keeper.reusing",
    "keeper.services.streaming",
    "keeper.services.text",
    "keeper.settling",
    "keeper.trusting",
    "keeper.updating",
    "trust",
)


def forget(*names):
    """Forget these modules, and those in folders of these names."""
    for name in names:
        inside = name + "."
        for loaded in list(sys.modules):
            if loaded == name or loaded.startswith(inside):
                _drop(loaded)
    gc.collect()


def end(*names):
    """Forget all that one of keeper's phases may have loaded, and these modules besides."""
    forget(*(_KEEPERS + names))


def _drop(name):
    module = sys.modules.pop(name)
    package, _, leaf = name.rpartition(".")
    parent = sys.modules.get(package)
    if parent is not None and getattr(parent, leaf, None) is module:
        delattr(parent, leaf)
