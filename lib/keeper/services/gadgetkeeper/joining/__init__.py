"""How a board gets its key, and what of it is kept in NVS. A phase: loaded at a start, and where there is no key."""

from keeper.services.gadgetkeeper.joining import calls, pauses
from keeper.services.gadgetkeeper.joining.credentials import be_activated, describe, forget_all, name_thing, recall

_OF_THE_WIRE: dict = {"activate": calls.activate, "rename": calls.rename}
_OF_THE_STANDING: dict = {
    "activate": be_activated,
    "activate_in_time": pauses.activate_in_time,
    "describe": describe,
    "drop": pauses.drop,
    "forget": forget_all,
    "give_name": name_thing,
    "recall": recall,
}


def call(verb, wire, *more):
    """Make the call that the wire wants by this name."""
    return _OF_THE_WIRE[verb](wire, *more)


def do(verb, standing):
    """Do what the standing wants by this name."""
    return _OF_THE_STANDING[verb](standing)
