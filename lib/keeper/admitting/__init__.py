"""What the server offers is held against what this board accepts. A phase: before an update, and at a trial's end."""

from keeper.admitting.admission import admit, prove

_VERBS: dict = {"admit": admit, "prove": prove}


def do(verb, life, *more):
    """Do what the life cycle wants by this name."""
    return _VERBS[verb](life, *more)
