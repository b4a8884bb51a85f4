"""How a reading is shown on the console: version 2 of the demo's application also knows Fahrenheit and the extremes."""

from keeper.console import say

_extremes = [None, None]


def show(celsius):
    """Show one reading."""
    low, high = _extremes
    _extremes[0] = celsius if low is None or celsius < low else low
    _extremes[1] = celsius if high is None or celsius > high else high
    say(
        "reading",
        "%.2f C = %.1f F, between %.2f and %.2f C" % (celsius, celsius * 1.8 + 32, _extremes[0], _extremes[1]),
    )
