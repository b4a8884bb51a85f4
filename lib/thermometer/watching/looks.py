"""What a station does by itself when something stays wrong: it leaves a network, switches the radio, restarts.

It is called while the station has nothing else to do, and keeps what it has to remember in `station.watched`, a dict of
plain values: times are those of `keeper.uptime`. Nothing is done to a release on trial, which has a deadline anyway.
"""

from keeper import memory, uptime
from keeper.console import say
from keeper.errors import KeeperError

# Two areas of a heap without PSRAM; a third takes what the IDF has left. Other chips have more of both: where the IDF
# has plenty, no heap is too large.
HEAP_LIMIT = 113_000
_PLENTY = 25_000
_SHORT_MS = 10 * 60_000

# A network that is up, but from which the server isn't reached, is left after 5 minutes, then after 10, ... for the
# next one that is known, or to be joined anew. The radio is switched off and on when that has not helped for two hours,
# and the board restarts after six: whatever it was that hung, hangs no more.
_LEAVE_MS = 5 * 60_000
_LEAVE_CAP_MS = 60 * 60_000
_RADIO_MS = 2 * 3_600_000
_RESTART_MS = 6 * 3_600_000


def look(station):
    """Look at everything once; `station`: `station.Station`."""
    short = _short_of_memory(station.watched)
    if short:
        _restart(station, short)
    elif station.lifecycle and not station.lifecycle.on_trial:
        link = station.link
        # An address that is lost the driver doesn't tell.
        if link.ssid is not None and link.wlan.isconnected() and link.wlan.ifconfig()[0] == "0.0.0.0":
            _leave(link, "has no address any more")
        _look_for_server(station)


def _short_of_memory(watched):
    """What has been short for ten minutes, in words; "" if nothing has."""
    total = memory.heap()[1]
    found = memory.idf()
    grown = found and total > HEAP_LIMIT and found[0] < _PLENTY
    short = "the heap has grown to %d bytes" % total if grown else memory.lack(memory.PLAIN)
    if not short:
        watched.pop("short", None)
    elif uptime.ms() - watched.setdefault("short", uptime.ms()) >= _SHORT_MS:
        return "memory: " + short
    return ""


def _look_for_server(station):
    watched, now_ms, link = station.watched, uptime.ms(), station.link
    if link.ssid is not None and station.clock.can_judge() and not station.lifecycle.failing:
        for name in ("silent", "radio", "joined", "leave"):
            watched.pop(name, None)
        return
    silent_ms = now_ms - watched.setdefault("silent", now_ms)
    if silent_ms >= _RESTART_MS:
        _restart(station, "the server wasn't reached for %d h" % (silent_ms // 3_600_000))
    elif now_ms - watched.setdefault("radio", now_ms) >= _RADIO_MS:
        watched["radio"] = now_ms
        say("wifi", "the radio is switched off and on: the server wasn't reached for long")
        link.leave()
        _of_the_driver(link.wlan.active, False)  # joining a network switches it on
    elif link.ssid is None:
        watched.pop("joined", None)
    elif now_ms - watched.setdefault("joined", now_ms) >= watched.setdefault("leave", _LEAVE_MS):
        watched["leave"] = min(2 * watched["leave"], _LEAVE_CAP_MS)
        del watched["joined"]
        _leave(link, "leads nowhere")


def _leave(link, why):
    """Go to another network, or to the same one anew if there is no other."""
    say("wifi", "leaves %s: it %s" % (link.ssid, why))
    link.leave()
    _of_the_driver(link.wlan.disconnect)


def _of_the_driver(do, *more):
    try:
        do(*more)
    except (OSError, RuntimeError) as error:
        say("wifi", "the driver refuses: %s" % error)


def _restart(station, why):
    say("restart", why)
    try:
        station.before_reset()
    except KeeperError as error:
        say("restart", str(error))
        station.keep()
        station.board.count_starts_anew()
    station.board.note(why)
    station.reset()
