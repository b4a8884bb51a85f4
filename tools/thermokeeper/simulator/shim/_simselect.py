"""`select` of the simulated board: the host's, which in virtual time waits as `_simwaiting` says."""

import select as _host
import sys
from select import *  # noqa: F403

import _sim


class poll:
    def __init__(self):
        self._poll = _host.poll()
        self._waiting = _sim.board().waiting(self._poll.poll)
        self._others = 0  # how much else than the console is polled: a person is never waited for
        self.modify = self._poll.modify

    def register(self, stream, *mask):
        self._poll.register(stream, *mask)
        self._others += stream is not sys.stdin

    def unregister(self, stream):
        self._poll.unregister(stream)
        self._others -= stream is not sys.stdin

    def poll(self, timeout_ms=-1):
        if not timeout_ms or not _sim.board().virtual:
            return self._poll.poll(timeout_ms)
        return self._waiting.ready(timeout_ms, self._others)

    def ipoll(self, timeout_ms=-1, flags=0):
        return iter(self.poll(timeout_ms))
