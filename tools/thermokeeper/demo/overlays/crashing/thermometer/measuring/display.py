"""How a reading is shown on the console: the demo's version that nobody tried before it was published."""

from keeper.console import say


def show(celsius):
    """Show one reading."""
    say("reading", "%s C" % celsius["rounded"])
