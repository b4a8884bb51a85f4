"""What the device says of itself on its console: one short line for each change of state.

Every line starts with `tk: `, a topic of one word and a colon, so that a person can read it and a program can
pick it out of whatever else a board prints. No secret is ever given to this module.
"""


def say(topic, text):
    """Print one line, e.g. `tk: slot: ota_1 runs 1.1.0 on trial`."""
    print("tk: %s: %s" % (topic, text))
