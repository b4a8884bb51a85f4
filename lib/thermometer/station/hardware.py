"""The only place that makes hardware objects; everything else is given them, and so runs without a board.

Importing it touches nothing. It must not contain decisions of the product beyond which pin the sensor is on.
"""

import sys

# GPIO of the sensor's data wire (4.7 kOhm to 3.3 V), by what MicroPython says of the board; the first that fits.
# None of them is a strapping pin or used by flash, PSRAM, USB or the console.
_PINS = (
    ("ESP32S3", 5),
    ("ESP32C3", 3),
    ("ESP32", 4),
)
_DEFAULT_PIN = 4

_CAUSES = (
    ("PWRON_RESET", "power-on"),
    ("HARD_RESET", "reset"),
    ("WDT_RESET", "watchdog"),
    ("DEEPSLEEP_RESET", "deep sleep"),
    ("SOFT_RESET", "soft reset"),
)

# main.py's RTC memory: two letters and the count of starts that didn't last; a note of the release follows.
_NO_STARTS = b"TK\0"
_NOTE_AT = 3
_NOTE_LIMIT = 100


def build(pin=None):
    """Make the objects of this board; `pin` overrides the table."""
    return Hardware(sensor_pin() if pin is None else pin)


def sensor_pin():
    """The number of the GPIO that the sensor is on."""
    board = getattr(sys.implementation, "_machine", "")
    for name, number in _PINS:
        if name in board:
            return number
    return _DEFAULT_PIN


class Hardware:
    """`bus` (ds18x20.DS18X20), `wlan` (the station), and the ways to restart a board.

    `watchdog` is None until `start_watchdog`: from then on a board that doesn't feed it is reset.
    """

    def __init__(self, pin):
        import ds18x20
        import machine
        import network
        import onewire

        self._wire = onewire.OneWire(machine.Pin(pin))
        self.bus = ds18x20.DS18X20(self._wire)
        self.wlan = network.WLAN(network.STA_IF)
        self.watchdog = None
        self._machine = machine

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

    def reset_cause(self):
        """Why the board started: "power-on", "reset", "watchdog", "deep sleep", "soft reset" or "unknown"."""
        cause = self._machine.reset_cause()
        for name, text in _CAUSES:
            if getattr(self._machine, name, None) == cause:
                return text
        return "unknown"

    def last_words(self):
        """Why the board started, and what `note` kept over the reset: "watchdog; trial: no network"."""
        kept = self._machine.RTC().memory()[_NOTE_AT:]
        try:
            noted = kept.decode()
        except UnicodeError:
            noted = ""
        return self.reset_cause() + ("; " + noted if noted else "")

    def note(self, text):
        """Keep a few words for the next boot, if there is power until then."""
        rtc = self._machine.RTC()
        rtc.memory((rtc.memory()[:_NOTE_AT] or _NO_STARTS) + text[:_NOTE_LIMIT].encode())

    def count_starts_anew(self):
        """This start is a good one: main.py's count of starts that didn't last begins at nought."""
        rtc = self._machine.RTC()
        rtc.memory(_NO_STARTS + rtc.memory()[_NOTE_AT:])

    def set_rtc(self, seconds):
        """Set the clock, in seconds of this port's own epoch."""
        import time

        t = time.gmtime(seconds)
        self._machine.RTC().datetime((t[0], t[1], t[2], t[6], t[3], t[4], t[5], 0))
