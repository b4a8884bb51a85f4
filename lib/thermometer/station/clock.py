"""What time it is in the world, if that is known.

Wall time has three sources that are kept apart. `now()` is the board's real-time clock, set by NTP, else by the Date of
a server whose certificate was checked. `stamp()` may also use what any HTTP server said, which anybody on the path can
forge: good enough to date a reading, for nothing else. And where UDP is blocked the board's clock is set to the
earliest time that it can be, that of its release, while a certificate is judged. How the time is got is in the phase
`asking`, which writes it here. This module must not know who asks.
"""

import time

from keeper import uptime
from keeper.console import say as _say
from keeper.phases import forget

# MicroPython on the ESP32 counts from 2000, on a PC from 1970.
EPOCH_S = 946684800 if time.gmtime(0)[0] == 2000 else 0
FIRST_S = 1704067200  # 2024-01-01: no board of ours ran before it, so an earlier clock was never set
# 2068-01-19: gmtime of MicroPython v1.25 raises OverflowError beyond 31 bits of seconds since 2000. A later clock was
# never set right: the emulated board's, after its reset button, says 2350.
LAST_S = 946684800 + 0x7FFFFFFF
_PATIENCE = 2  # answers of time servers that failed before the release's time is taken for the time


class Clock:
    """Wall time. `set_rtc` takes seconds in the port's own epoch and sets the board's clock (hardware's part);
    without it the clock is only read. `checked`: whether the server that `learn` hears of shows a certificate.

    What `asking` keeps here: `first_s`, before which it can't be; `failed` tries since one was good; `wait` (a backoff)
    and `due_ms` of the next one; `heard`, a Date header and when it came, and `deaf_ms`, before which none is taken;
    `learned_ms`, wall time at uptime 0 by such a header; `assumed`, whether the board's clock is set to `first_s` only.
    """

    def __init__(self, set_rtc=None, ntp_host="pool.ntp.org", time_ns=time.time_ns, say=_say, now_ms=uptime.ms):
        self.ntp_host = ntp_host
        self.ntp_error = self.heard = self.learned_ms = self.wait = self.said = None
        self.checked = self.assumed = False
        self.first_s = FIRST_S
        self.failed = 0
        self.due_ms = self.deaf_ms = now_ms()
        self.now_ms = now_ms
        self.set_rtc = set_rtc
        self.say = say
        self._time_ns = time_ns

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
            if self.heard:
                self.ask("hear")
            if self.learned_ms is None:
                return None
            now_ms = self.learned_ms + self.now_ms()
        then_ms = now_ms - age_ms
        t = time.gmtime(then_ms // 1000 - EPOCH_S)
        return "%04d-%02d-%02dT%02d:%02d:%02d.%03d+0000" % (t[0], t[1], t[2], t[3], t[4], t[5], then_ms % 1000)

    def can_judge(self):
        """Whether the board's clock may judge a certificate: known, or set to the earliest time until `rest`."""
        if self.now() is not None:
            return True
        if self.failed >= _PATIENCE and not self.assumed:
            self.ask("assume")
        return self.assumed

    def rest(self):
        """What needed an assumed time is over."""
        if self.assumed:
            self.ask("rest")

    def keep(self, gateway=None):
        """Synchronise when it is due: at the start and once a day, sooner after a failure; else costs nothing.

        Call it often while the network is up. gateway: an address that is asked when the time server doesn't answer:
        where UDP to the world is blocked the router is often one itself.
        """
        if self.heard:
            self.ask("hear")
        if self.set_rtc and self.now_ms() >= self.due_ms:
            self.ask("keep", gateway)

    def learn(self, http_date):
        """Hear a Date header; it is looked at when nothing else is under way."""
        if self.now_ms() >= self.deaf_ms and (self.failed or self._rtc_ms() is None):
            self.heard = http_date, self.now_ms()

    def ask(self, verb, *more):
        """Have `asking` do something by this name."""
        from thermometer import asking

        try:
            return asking.do(verb, self, *more)
        finally:
            forget("thermometer.asking")

    def _rtc_ms(self):
        now_ms = self._time_ns() // 1000000 + EPOCH_S * 1000
        return now_ms if not self.assumed and self.first_s * 1000 <= now_ms < LAST_S * 1000 else None
