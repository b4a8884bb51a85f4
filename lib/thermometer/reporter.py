"""Delivers readings: takes them from the outbox in batches and drops them there once the server has them.

It must not know the wire: the life cycle sends, and says whether that worked. A reading whose answer was lost is sent
again; the server knows it by its time.
"""

import time

EVENT = "temperature"
_BATCH = 32
_RETRY_MS = 5_000


class Reporter:
    """Sends what is in the outbox every `period_ms`, and sooner when a batch is full."""

    def __init__(self, outbox, clock, lifecycle, period_ms):
        self._outbox = outbox
        self._clock = clock
        self._lifecycle = lifecycle
        self._period_ms = period_ms
        self._due_ms = time.ticks_ms()
        self._unanswered = None  # what was sent last, if no answer came: perhaps the server has it

    def step(self):
        """Send one batch if it is time."""
        if time.ticks_diff(self._due_ms, time.ticks_ms()) > 0 or not len(self._outbox):
            return
        sent = self._send()
        pause_ms = self._period_ms if sent else min(_RETRY_MS, self._period_ms)
        if sent and len(self._outbox) >= _BATCH:
            pause_ms = 0
        self._due_ms = time.ticks_add(time.ticks_ms(), pause_ms)

    def flush(self):
        """Send all there is, before a reset; stops at the first failure."""
        while len(self._outbox) and self._send():
            pass

    def _send(self):
        points = self._unanswered
        if not points:
            points = [(value, self._clock.stamp(age_ms)) for value, age_ms in self._outbox.peek(_BATCH)]
        if not self._lifecycle.send(EVENT, points):
            # To be sent again as they are: stamped anew they could be a millisecond off, and be taken for others.
            self._unanswered = points if points[0][1] else None
            return False
        self._unanswered = None
        self._outbox.drop(len(points))
        return True
