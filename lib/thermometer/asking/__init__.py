"""The time is asked for, by NTP, or read from a text. A phase: loaded at the start, once a day, and for such a text."""

from thermometer.asking.setting import assume, begin_at, hear, keep, rest, sync

_VERBS: dict = {
    "assume": assume,
    "begin_at": begin_at,
    "hear": hear,
    "keep": keep,
    "rest": rest,
    "sync": sync,
}


def do(verb, clock, *more):
    """Do what the clock wants by this name."""
    return _VERBS[verb](clock, *more)
