"""How a board gets its key, and what of it is kept in NVS. A phase: loaded at a start, and where there is no key."""

from keeper.services.gadgetkeeper.joining.calls import activate, rename
from keeper.services.gadgetkeeper.joining.credentials import describe, ensure, forget_all, recall

_VERBS: dict = {
    "activate": activate,
    "describe": describe,
    "ensure": ensure,
    "forget": forget_all,
    "recall": recall,
    "rename": rename,
}


def do(verb, subject, *more):
    """Do what the wire or the standing (the subject) wants by this name."""
    return _VERBS[verb](subject, *more)
