"""When a board activates again whose key was dropped. standing: `standing.Activation`, which keeps it.

A key that was dropped soon after it was got is perhaps another board's with the same serial: the two would take it from
each other for ever, so each tries with growing pauses.
"""

from keeper import uptime
from keeper.backoff import Backoff
from keeper.console import say
from keeper.errors import CloudError
from keeper.services.gadgetkeeper.joining.credentials import be_activated

_PAUSE_BASE_MS = 60_000
_PAUSE_CAP_MS = 3_600_000


def drop(standing):
    """The key was dropped: whether an activation may follow at once. Only the first one may."""
    first = standing.dropped_ms is None
    standing.dropped_ms = uptime.ms()
    if not first:
        standing.pause = standing.pause or Backoff(_PAUSE_BASE_MS, _PAUSE_CAP_MS)
        standing.not_before_ms = standing.dropped_ms + standing.pause.next_ms()
        return False
    say("activate", "the server doesn't know this key and thing any more: activating again")
    return True


def activate_in_time(standing):
    """Get a key, unless a pause has still to be kept."""
    if standing.not_before_ms is not None:
        left_ms = standing.not_before_ms - uptime.ms()
        if left_ms > 0:
            error = CloudError(401, "dropped", "the key was dropped again; does another board have this serial?")
            error.retry_after_ms = left_ms
            raise error
        standing.not_before_ms = None
    be_activated(standing)
