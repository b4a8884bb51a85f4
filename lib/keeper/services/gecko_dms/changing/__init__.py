"""The calls of Gecko OS DMS about firmware. A phase: loaded where the target isn't known to run."""

from keeper.services.gecko_dms.changing.calls import confirm, current, failed, open_release

_VERBS: dict = {"confirm": confirm, "current": current, "failed": failed, "open_release": open_release}


def do(verb, wire, *more):
    """Do what the wire wants by this name."""
    return _VERBS[verb](wire, *more)
