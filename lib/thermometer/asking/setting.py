"""The board's clock is set: by NTP, by the Date of a server that was checked, and for a while to the earliest time.

clock: `station.clock.Clock`, which keeps what is found here. It must not know who asks for the time.
"""

from keeper.backoff import Backoff
from thermometer.asking.dates import seconds_of
from thermometer.asking.ntp import ask
from thermometer.station.clock import EPOCH_S, FIRST_S, LAST_S

_SYNC_MS = 86400000  # the crystal is off by a few seconds a day
_RETRY_BASE_MS = 15000
_RETRY_CAP_MS = 3600000
_LEARNED_SLACK_MS = 2000  # Date headers have whole seconds: a smaller difference is no news
_TOLD = 2  # failures that are said: of the time server, and of the router
_LEARN_MS = 600000  # between two looks at such a header


def keep(clock, gateway=None):
    """Ask a time server, and say what came of it when that changes."""
    now_ms = clock.now_ms()
    asks_router = clock.failed & 1 and gateway not in (None, "0.0.0.0")  # a network needn't have one
    host = gateway if asks_router else clock.ntp_host
    if sync(clock, host):
        clock.wait = None
        clock.failed = 0
        clock.due_ms = now_ms + _SYNC_MS
        text = "set by " + host
    else:
        clock.failed += 1
        clock.wait = clock.wait or Backoff(_RETRY_BASE_MS, _RETRY_CAP_MS)
        clock.due_ms = now_ms + clock.wait.next_ms()
        text = clock.ntp_error
    if text != clock.said and clock.failed <= _TOLD:
        clock.said = text
        clock.say("clock", text)


def sync(clock, host):
    """Set the clock from a time server; False (and the reason in `ntp_error`) if that didn't work.

    Blocks for the name look-up and at most a second for the answer.
    """
    seconds, why = ask(host, EPOCH_S, clock.first_s, LAST_S)
    if seconds is None:
        clock.ntp_error = "%s (%s)" % (why, host)
        return False
    clock.set_rtc(seconds)
    clock.ntp_error = None
    return True


def begin_at(clock, created):
    """No time before this one is believed: when the running release was made ("2026-11-21T20:13:18Z" or None)."""
    first_s = seconds_of(created)
    if first_s is not None and FIRST_S < first_s < LAST_S:
        clock.first_s = first_s


def assume(clock):
    """Set the board's clock to the earliest time, if there is one: a certificate of then may be valid now."""
    if clock.set_rtc and clock.first_s != FIRST_S:
        clock.assumed = True
        clock.set_rtc(clock.first_s - EPOCH_S)


def rest(clock):
    """Without what needed it the clock says again that it doesn't know."""
    clock.set_rtc(0)
    clock.assumed = False
    hear(clock)


def hear(clock):
    """Take the time for stamps from the Date that was heard, and, of a server that was checked, for the board."""
    if not clock.heard:
        return
    (text, then_ms), clock.heard = clock.heard, None
    seconds = seconds_of(text)
    if seconds is None or not clock.first_s <= seconds < LAST_S:
        return
    now_ms = clock.now_ms()
    clock.deaf_ms = now_ms + _LEARN_MS
    learned_ms = seconds * 1000 - then_ms
    first = clock.learned_ms is None
    # stamps of one boot stay in order: only a real difference moves them
    if first or abs(learned_ms - clock.learned_ms) > _LEARNED_SLACK_MS:
        clock.learned_ms = learned_ms
    if clock.checked and clock.set_rtc and clock.failed:
        clock.set_rtc((learned_ms + now_ms) // 1000 - EPOCH_S)
        clock.assumed = False
        if first:
            clock.say("clock", "set by the server")
