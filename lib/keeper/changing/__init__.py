"""What is to be done about the server's target: a trial that passes, a confirmation, a failure to be told, an update.

A phase: loaded only where the target isn't what is known to run.
"""

from keeper.changing.target import confirm, follow  # noqa: F401
