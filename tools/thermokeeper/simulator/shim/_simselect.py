"""`select` of the simulated board: in virtual time a poll to which nothing comes lets the board's time pass.

Whoever answers has the host's time for it: the board's stands still while an answer is under way. Of a connection that
is known to be quiet nothing is waited for, and of one that stays so for long it is believed.
"""

import select as _host
import sys
from select import *  # noqa: F403

import _sim

_SLICE_MS = 5
_PATIENCE_MS = 20000


class poll:
    def __init__(self):
        self._poll = _host.poll()
        self._others = 0  # how much else than the console is polled: a person is never waited for
        self._given_up = False
        self.modify = self._poll.modify

    def register(self, stream, *mask):
        self._poll.register(stream, *mask)
        if stream is not sys.stdin:
            self._others += 1

    def unregister(self, stream):
        self._poll.unregister(stream)
        self._others -= stream is not sys.stdin

    def poll(self, timeout_ms=-1):
        board = _sim.board()
        if not board.virtual:
            return self._poll.poll(timeout_ms)
        ready = self._poll.poll(0)
        if ready or not timeout_ms:
            return ready
        board.alive()
        patience_ms = _PATIENCE_MS if self._others and not self._given_up else 0
        end_ms = None if timeout_ms < 0 else board.skipped_ms + timeout_ms
        while not ready:
            quiet = board.is_quiet()
            if quiet or not patience_ms:
                ready = self._poll.poll(0)  # what came before it fell quiet
                if ready or end_ms is not None and end_ms <= board.skipped_ms:
                    break
                if board.pass_ms(_SLICE_MS if end_ms is None else end_ms - board.skipped_ms):
                    patience_ms = _PATIENCE_MS if self._others else 0
            else:
                ready = self._poll.poll(_SLICE_MS)
                patience_ms -= _SLICE_MS
                self._given_up = not ready and patience_ms <= 0
        if ready:
            self._given_up = False
        return ready

    def ipoll(self, timeout_ms=-1, flags=0):
        return iter(self.poll(timeout_ms))
