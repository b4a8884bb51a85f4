"""Delivers readings: takes them from the outbox in batches and drops them there once the server has them.

It must not know the wire: the life cycle sends, and says whether that worked. A reading whose answer was lost is sent
again; the server knows it by its time.
"""

from keeper import uptime
from keeper.backoff import Backoff

EVENT = "temperature"
_BATCH = 32
_RETRY_BASE_MS = 5_000
_RETRY_CAP_MS = 15 * 60_000


class Reporter:
    """Sends what is in the outbox every `period_ms`, and sooner when a batch is full."""

    def __init__(self, outbox, clock, lifecycle, period_ms):
        self._outbox = outbox
        self._clock = clock
        self._lifecycle = lifecycle
        self._period_ms = period_ms
        self._backoff = Backoff(min(_RETRY_BASE_MS, period_ms), _RETRY_CAP_MS)
        self._due_ms = uptime.ms()
        self._batch = _BATCH
        self.accepted = False  # whether the server has taken one since the start
        self._unanswered = None  # what was sent last, if no answer came: perhaps the server has it

    def step(self):
        """Send one batch if it is time, and there is a key to send it with."""
        if self._due_ms > uptime.ms() or not len(self._outbox):
            return
        if not self._lifecycle.active():
            return
        if self._send() and len(self._outbox) < _BATCH:
            self._pause(self._period_ms)

    def flush(self):
        """Send all there is, before a reset; stops at the first failure. Whether the server has everything."""
        while len(self._outbox) and self._send():
            pass
        return not len(self._outbox)

    def _send(self):
        points = self._unanswered
        if not points:
            points = [(value, self._clock.stamp(age_ms)) for value, age_ms in self._outbox.peek(self._batch)]
        if not self._lifecycle.send(EVENT, points):
            if self._lifecycle.unwanted:
                self._sort_out(points)
                return False
            # To be sent again as they are: stamped anew they could be a millisecond off, and be taken for others.
            self._unanswered = points if points[0][1] else None
            self._pause(self._backoff.next_ms(self._lifecycle.asked_ms))
            return False
        self._unanswered = None
        self._backoff.reset()
        self._batch = min(2 * self._batch, _BATCH)
        self.accepted = True
        self._outbox.drop(len(points))
        return True

    def _sort_out(self, points):
        """The server refused these for what they are: ever fewer at once, until the one that it means is alone."""
        self._unanswered = None
        if len(points) == 1:
            self._lifecycle.note("deliver", "a reading is dropped: the server refuses it for good")
            self._outbox.drop(1)
        self._batch = max(1, len(points) // 2)
        self._pause(self._backoff.next_ms(self._lifecycle.asked_ms))

    def _pause(self, pause_ms):
        self._due_ms = uptime.ms() + pause_ms
