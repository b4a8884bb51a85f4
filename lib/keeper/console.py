"""What the device says of itself on its console: one short line for each change of state.

Every line starts with `tk: `, a topic of one word and a colon, so that a person can read it and a program can
pick it out of whatever else a board prints. No secret is ever given to this module.
"""

_typed = None


def say(topic, text):
    """Print one line, e.g. `tk: slot: ota_1 runs 1.1.0 on trial`."""
    typed = _typed() if _typed else ""
    if typed:
        print()
    print("tk: %s: %s" % (topic, text))
    if typed:
        print(typed, end="")


def echo(text):
    """Show what is being typed."""
    print(text, end="")


def share(typed):
    """Keep out of the way of a person who types: `typed()` is what stands on the line just now, or None for nobody."""
    global _typed
    _typed = typed
