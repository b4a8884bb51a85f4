"""A line that is typed, from its first character to its answer. typed: `station.typed.Typed`, which outlives it."""

import sys

from keeper import console, typing, uptime
from keeper.console import say
from keeper.errors import KeeperError

_SECRETS = ("provision", "wifi")  # what is typed behind these commands isn't shown
_SILENCE_MS = 60_000  # a line that isn't ended is forgotten after so long


def begin(typed):
    """Somebody has begun to type."""
    typed.line = typing.LineInput(sys.stdin, console.echo, _SECRETS)
    console.share(typed.line.shown)
    typed.since_ms = uptime.ms()


def answer(typed):
    """Run a command, if a whole line is there; whether nothing more is to be waited for."""
    if typed.line.whole:
        try:
            asked = typed.commands()
            typing.Commands(typed.line, asked.table()).step()
            typed.reset_wanted = asked.reset_wanted
        except (MemoryError, KeeperError) as error:
            say("refused", str(error) or "there is not enough memory just now")
    elif typed.line.shown() and uptime.ms() - typed.since_ms < _SILENCE_MS:
        return False
    console.share(None)
    return True
