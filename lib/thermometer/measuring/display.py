"""How a reading is shown on the console; another kind of display would be another function here."""

from keeper.console import say


def show(celsius):
    """Show one reading."""
    say("reading", "%.2f C" % celsius)
