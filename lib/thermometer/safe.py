"""Safe mode: a station that doesn't measure, for a release that keeps crashing; it still takes an update.

main.py starts it instead of the application after three starts that didn't last. It imports nothing of what measures.
"""

from keeper.console import say
from thermometer.station import hardware
from thermometer.station.station import Station


class SafeMode(Station):
    """Never proves a release on trial."""

    def missing(self):
        return "safe mode"


def run():
    """Run for ever."""
    say("safe", "the application keeps crashing: only updates are looked after")
    station = SafeMode(hardware.build())
    station.settle()
    station.run()
