"""The board's hardware in the words of this product. `thermometer.wiring` makes it, once; tests give another."""

from keeper.phases import forget


def build(pin=None):
    """Make the objects of this board; `pin`: of the sensor, in place of the board's usual one."""
    from thermometer import wiring

    try:
        return Hardware(*wiring.build(pin))
    finally:
        forget("thermometer.wiring")


class Hardware:
    """`bus` (ds18x20.DS18X20), `wlan` (the station), and the ways to restart a board.

    `begun_ms` is the tick at which a conversion of what is on the bus began, before all else, or None.
    `watchdog` is None until `start_watchdog`: from then on a board that doesn't feed it is reset.
    """

    def __init__(self, machine, wire, bus, wlan, reset_cause, begun_ms=None):
        self.bus = bus
        self.begun_ms = begun_ms
        self.wlan = wlan
        self.watchdog = None
        self._machine = machine
        self._wire = wire
        self._reset_cause = reset_cause

    def line(self):
        """Level of the sensor's wire at rest: 1, or 0 while something holds it down."""
        self._wire.reset()  # else a sensor that converts would answer
        return self._wire.readbit()

    def start_watchdog(self, timeout_ms):
        """Start it, or go on with the one that runs: on the ESP32 it can't be stopped again."""
        if self.watchdog is None:
            self.watchdog = self._machine.WDT(timeout=timeout_ms)

    def feed(self):
        """Feed the watchdog, if it runs."""
        if self.watchdog is not None:
            self.watchdog.feed()

    def reset(self):
        """Reset the board; doesn't return."""
        self._machine.reset()

    def last_words(self):
        """Why the board started, and what was noted before the reset: "watchdog; trial: no network"."""
        noted = self._noting("noted")
        return self._reset_cause + ("; " + noted if noted else "")

    def note(self, text):
        """Keep a few words for the next boot, if there is power until then."""
        self._noting("note", text)

    def count_starts_anew(self):
        """This start is a good one: main.py's count of starts that didn't last begins at nought."""
        self._noting("count_starts_anew")

    def _noting(self, verb, *more):
        from thermometer import noting

        try:
            return noting.do(verb, self._machine.RTC(), *more)
        finally:
            forget("thermometer.noting")

    def set_rtc(self, seconds):
        """Set the clock, in seconds of this port's own epoch."""
        import time

        t = time.gmtime(seconds)
        self._machine.RTC().datetime((t[0], t[1], t[2], t[6], t[3], t[4], t[5], 0))
