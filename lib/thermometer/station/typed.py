"""Watches the console for somebody who types; what it takes to read a line and to answer it is loaded only then.

It must not know what a line means. The phases are `keeper.typing` and `thermometer.typing`.
"""

import select
import sys
import time

from keeper import console
from keeper.console import say
from keeper.errors import KeeperError
from keeper.phases import end

SECRETS = ("provision", "wifi")  # what is typed behind these commands isn't shown
_SILENCE_MS = 60_000  # a line that isn't ended is forgotten after so long


class Typed:
    """The console's input. commands: callable, makes the object whose `table()` the commands are."""

    def __init__(self, commands):
        self._commands = commands
        self._poller = select.poll()
        self._poller.register(sys.stdin, select.POLLIN)
        self._line = None
        self._since_ms = 0
        self.reset_wanted = False

    def poll(self, busy=False):
        """Take what has been typed. busy: something is under way that needs the memory; then nothing is begun."""
        if self._line is None:
            if busy or not self._is_readable():
                return
            self._begin()
        if self._is_readable():
            self._since_ms = time.ticks_ms()
        self._line.poll()

    def answer(self):
        """Run the command that was typed, if a whole line is there. Never raises a KeeperError."""
        if self._line is None:
            return
        if self._line.whole:
            self._run()
        elif self._line.shown() and time.ticks_diff(time.ticks_ms(), self._since_ms) < _SILENCE_MS:
            return
        self._end()

    def _begin(self):
        from keeper import typing

        self._line = typing.LineInput(sys.stdin, console.echo, SECRETS)
        console.share(self._line.shown)
        self._since_ms = time.ticks_ms()

    def _run(self):
        from keeper import typing

        try:
            asked = self._commands()
            typing.Commands(self._line, asked.table()).step()
            self.reset_wanted = asked.reset_wanted
        except (MemoryError, KeeperError) as error:
            say("refused", str(error) or "there is not enough memory just now")

    def _end(self):
        console.share(None)
        self._line = None
        end("keeper.typing", "thermometer.typing", "thermometer.joining")

    def _is_readable(self):
        for _, event in self._poller.ipoll(0):
            return bool(event & select.POLLIN)
        return False
