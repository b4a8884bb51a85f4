"""What is to be done about the server's target: a trial that passes, a confirmation, a failure to be told, an update.

A phase: loaded only where the target isn't what is known to run.
"""

from keeper.changing.target import confirm, excuse, follow
from keeper.changing.trial import known_ids, pass_trial
from keeper.changing.tries import count_failed, count_refused

_VERBS: dict = {
    "confirm": confirm,
    "count_failed": count_failed,
    "count_refused": count_refused,
    "excuse": excuse,
    "follow": follow,
    "known_ids": known_ids,
    "pass_trial": pass_trial,
}


def do(verb, life, *more):
    """Do what the life cycle wants by this name."""
    return _VERBS[verb](life, *more)
