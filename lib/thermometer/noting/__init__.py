"""What is kept in RTC memory over a reset. A phase: for a moment, where something is noted or read."""

from thermometer.noting.rtc import count_starts_anew, note, noted

_VERBS: dict = {"count_starts_anew": count_starts_anew, "note": note, "noted": noted}


def do(verb, rtc, *more):
    """Do what the hardware wants by this name."""
    return _VERBS[verb](rtc, *more)
