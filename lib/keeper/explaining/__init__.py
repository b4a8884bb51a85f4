"""What went wrong with a server, in words. A phase: loaded for the moment of a failure."""

from keeper.explaining.answer import refusal
from keeper.explaining.connection import trouble

_VERBS: dict = {"refusal": refusal, "trouble": trouble}


def do(verb, *more):
    """Do what `talking` or a service wants by this name."""
    return _VERBS[verb](*more)
