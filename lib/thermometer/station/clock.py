"""Time: how long this boot has lasted, and what time it is in the world, if that is known.

Wall time has two sources that are kept apart. `now()` is the board's real-time clock, set by NTP, and the only one
that may judge a certificate. `stamp()` may also use what an HTTP server said in its Date header, which anybody on the
path can forge: good enough to date a reading, for nothing else. This module must not know who asks.
"""

import time

from keeper.backoff import Backoff
from keeper.console import say as _say

# MicroPython on the ESP32 counts from 2000, on a PC from 1970.
_EPOCH_S = 946684800 if time.gmtime(0)[0] == 2000 else 0
_FIRST_S = 1704067200  # 2024-01-01: no board of ours ran before it, so an earlier clock was never set
# 2068-01-19: gmtime of MicroPython v1.25 raises OverflowError beyond 31 bits of seconds since 2000. A later clock was
# never set right: the emulated board's, after its reset button, says 2350.
_LAST_S = 946684800 + 0x7FFFFFFF
_SYNC_MS = 86400000  # the crystal is off by a few seconds a day
_RETRY_BASE_MS = 15000
_RETRY_CAP_MS = 3600000
_LEARNED_SLACK_MS = 2000  # Date headers have whole seconds: a smaller difference is no news

_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"


class Uptime:
    """Milliseconds since this object was made, beyond the 12 days after which ticks_ms starts again.

    Somebody has to call `ms()` at least every 6 days: one object for all, and whoever asks does it for the others.
    """

    def __init__(self, now=time.ticks_ms):
        self._now = now
        self._last = now()
        self._total_ms = 0

    def ms(self):
        """Milliseconds since the start; never goes back."""
        now = self._now()
        self._total_ms += time.ticks_diff(now, self._last)
        self._last = now
        return self._total_ms


class Clock:
    """Wall time. `set_rtc` takes seconds in the port's own epoch and sets the board's clock (hardware's part);
    without it the clock is only read."""

    def __init__(self, uptime, set_rtc=None, ntp_host="pool.ntp.org", time_ns=time.time_ns, say=_say):
        self.ntp_host = ntp_host
        self.ntp_error = None
        self._uptime = uptime
        self._set_rtc = set_rtc
        self._time_ns = time_ns
        self._say = say
        self._backoff = Backoff(_RETRY_BASE_MS, _RETRY_CAP_MS)
        self._sync_due_ms = uptime.ms()
        self._said = None
        self._learned_ms = None  # wall time at uptime 0, as a server said

    def now(self):
        """Seconds since 1970, or None while the clock was never set."""
        now_ms = self._rtc_ms()
        return None if now_ms is None else now_ms // 1000

    def utc(self):
        """The time like "2026-11-21T20:13:18Z", or None while the clock was never set."""
        return None if self.now() is None else self.stamp()[:19] + "Z"

    def stamp(self, age_ms=0):
        """The time `age_ms` ago like "2026-11-21T20:13:18.000+0000", or None while no time is known."""
        now_ms = self._rtc_ms()
        if now_ms is None:
            if self._learned_ms is None:
                return None
            now_ms = self._learned_ms + self._uptime.ms()
        then_ms = now_ms - age_ms
        t = time.gmtime(then_ms // 1000 - _EPOCH_S)
        return "%04d-%02d-%02dT%02d:%02d:%02d.%03d+0000" % (t[0], t[1], t[2], t[3], t[4], t[5], then_ms % 1000)

    def keep(self):
        """Synchronise when it is due: at the start and once a day, sooner after a failure; else costs nothing.

        Call it often while the network is up.
        """
        now_ms = self._uptime.ms()
        if self._set_rtc is None or now_ms < self._sync_due_ms:
            return
        if self.sync_ntp():
            self._backoff.reset()
            self._sync_due_ms = now_ms + _SYNC_MS
            text = "set by " + self.ntp_host
        else:
            self._sync_due_ms = now_ms + self._backoff.next_ms()
            text = self.ntp_error
        if text != self._said:
            self._said = text
            self._say("clock", text)

    def sync_ntp(self):
        """Set the board's clock from `ntp_host`; False (and the reason in `ntp_error`) if that didn't work.

        Blocks for the name lookup and at most a second for the answer.
        """
        from keeper.phases import forget
        from thermometer import asking

        try:
            seconds, why = asking.sync(self.ntp_host, _EPOCH_S, _FIRST_S, _LAST_S)
        finally:
            forget("thermometer.asking")
        if seconds is None:
            return self._ntp_failed(why)
        if self._set_rtc is None:
            return self._ntp_failed("this board's clock can't be set")
        self._set_rtc(seconds)
        self.ntp_error = None
        return True

    def learn(self, http_date):
        """Take the time for stamps from a Date header (RFC 9110: "Sat, 21 Nov 2026 20:13:18 GMT"); False if it isn't
        one."""
        seconds = _parse_date(http_date)
        if seconds is None or not _FIRST_S <= seconds < _LAST_S:
            return False
        learned_ms = seconds * 1000 - self._uptime.ms()
        # stamps of one boot stay in order: only a real difference moves them
        if self._learned_ms is None or abs(learned_ms - self._learned_ms) > _LEARNED_SLACK_MS:
            self._learned_ms = learned_ms
        return True

    def _rtc_ms(self):
        now_ms = self._time_ns() // 1000000 + _EPOCH_S * 1000
        return now_ms if _FIRST_S * 1000 <= now_ms < _LAST_S * 1000 else None

    def _ntp_failed(self, reason):
        self.ntp_error = "%s (%s)" % (reason, self.ntp_host)
        return False


def _parse_date(text):
    """Seconds since 1970 of an IMF-fixdate, or None."""
    if not isinstance(text, str) or len(text) != 29 or text[3:5] != ", " or text[25:] != " GMT":
        return None
    if text[7] != " " or text[11] != " " or text[16] != " " or text[19] != ":" or text[22] != ":":
        return None
    fields = (text[5:7], text[12:16], text[17:19], text[20:22], text[23:25])
    for field in fields:
        if not field.isdigit():
            return None
    day, year, hour, minute, second = [int(field) for field in fields]
    index = _MONTHS.find(text[8:11])
    if index % 3 or not 1 <= day <= 31 or hour > 23 or minute > 59 or second > 60:  # find's -1 % 3 is 2
        return None
    return ((_days(year, index // 3 + 1, day) * 24 + hour) * 60 + minute) * 60 + second


def _days(year, month, day):
    """Days from 1970-01-01 to a Gregorian date; mktime would use local time on some ports."""
    if month < 3:  # count years from March, so that the leap day comes last
        year -= 1
        month += 12
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 719469
