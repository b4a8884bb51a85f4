"""Watches the console for somebody who types; what it takes to read a line and to answer it is loaded only then.

It must not know what a line means. The phases are `keeper.typing` and `thermometer.typing`.
"""

import select
import sys

from keeper import uptime
from keeper.phases import end


class Typed:
    """The console's input. commands: callable, makes the object whose `table()` the commands are.

    line: `lineinput.LineInput` while somebody types, since_ms: when its last character came; of `thermometer.typing`.
    """

    def __init__(self, commands):
        self.commands = commands
        self.line = None
        self.since_ms = 0
        self.reset_wanted = False
        self._poller = select.poll()
        self._poller.register(sys.stdin, select.POLLIN)

    def poll(self, busy=False):
        """Take what has been typed. busy: something is under way that needs the memory; then nothing is begun."""
        readable = self.is_readable()
        if self.line is None:
            if busy or not readable:
                return
            from thermometer import typing

            typing.begin(self)
        if readable:
            self.since_ms = uptime.ms()
        self.line.poll()

    def answer(self):
        """Run the command that was typed, if a whole line is there. Never raises a KeeperError."""
        if self.line is None:
            return
        from thermometer import typing

        if typing.answer(self):
            self.line = None
            end("keeper.typing", "thermometer.typing", "thermometer.joining")

    def is_readable(self):
        """Whether something has been typed."""
        for _, event in self._poller.ipoll(0):
            return bool(event & select.POLLIN)
        return False
