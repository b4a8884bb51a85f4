"""The deadlines of one request, and the pulse that goes on while it waits. Must not know sockets."""

import time

from keeper.errors import NetError

_SLICE_MS = 200  # the pulse is due every 250 ms


class Patience:
    """How long a request may take: for each wait idle_ms, in all total_ms and a millisecond more for each byte moved.

    So a server that drips can't hold the device: it has to send 1 KB a second once total_ms is over.
    """

    def __init__(self, pulse, idle_ms, total_ms):
        self.pulse = pulse
        self.moved = 0
        self._idle_ms = idle_ms
        self._total_ms = total_ms
        self._started = time.ticks_ms()

    def slice_ms(self, since, peer):
        """Pulse, and say how long to poll; NetError if the wait that began at tick `since`, or all, took too long."""
        now = time.ticks_ms()
        idle_ms = self._idle_ms - time.ticks_diff(now, since)
        if idle_ms <= 0:
            raise NetError("no answer from %s in %s" % (peer, seconds(self._idle_ms)))
        spent_ms = time.ticks_diff(now, self._started)
        left_ms = self._total_ms + self.moved - spent_ms
        if left_ms <= 0:
            raise NetError("%s is too slow: %d bytes in %s" % (peer, self.moved, seconds(spent_ms)))
        self.pulse()  # after the limits: however long it takes, there is another look at the socket before the end
        return min(_SLICE_MS, idle_ms, left_ms)


def seconds(ms):
    """A duration for a person."""
    return "%d s" % (ms // 1000) if ms >= 1000 else "%d ms" % ms
