"""How a reading is shown on the console: version 2 of the demo's application also knows Fahrenheit and the extremes."""

from keeper.console import say

_seen = []  # lowest and highest reading since power-on


def show(celsius):
    """Show one reading."""
    low, high = _seen or (celsius, celsius)
    _seen[:] = [min(low, celsius), max(high, celsius)]
    say("reading", "%.2f C = %.1f F, between %.2f and %.2f C" % (celsius, celsius * 1.8 + 32, _seen[0], _seen[1]))
