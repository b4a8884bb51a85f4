"""Readings that wait for delivery, each with the time at which it was taken; in RAM, of a fixed size.

Taking and removing are two steps, so that nothing is lost between them: `peek`, send, and only when the server has
acknowledged, `drop`. When it is full the oldest reading makes room and is counted. It must not know what a reading
means or where it goes; a store in flash can take its place behind the same five methods.
"""

from array import array

from keeper import uptime

CAPACITY = 240

_MASK = 0xFFFFFFFF  # times are kept as 32-bit milliseconds: a reading may wait 49 days


class Outbox:
    """A queue of (value, time). `dropped` counts the readings that were pushed out before they were delivered."""

    def __init__(self, capacity=CAPACITY, now_ms=uptime.ms):
        self.capacity = capacity
        self.dropped = 0
        self._now_ms = now_ms
        self._values = array("f", [0.0] * capacity)
        self._taken_ms = array("I", [0] * capacity)
        self._first = 0  # index of the oldest
        self._count = 0
        self._peeked = 0  # how many of those last peeked at are still here
        self._pushed_out = 0  # and how many of them made room since

    def __len__(self):
        return self._count

    def put(self, value, age_ms=0):
        """Add a reading that was taken `age_ms` ago."""
        if self._count == self.capacity:
            self._remove(1)
            self.dropped += 1
            if self._peeked:
                self._peeked -= 1
                self._pushed_out += 1
        index = (self._first + self._count) % self.capacity
        self._values[index] = value
        self._taken_ms[index] = (self._now_ms() - age_ms) & _MASK
        self._count += 1

    def peek(self, n):
        """The oldest `n` readings at most, as a list of (value, age_ms), oldest first. They stay."""
        readings = [self.at(i) for i in range(min(n, self._count))]
        self._peeked = len(readings)
        self._pushed_out = 0
        return readings

    def at(self, i):
        """(value, age_ms) of a reading, counted from the oldest."""
        index = (self._first + i) % self.capacity
        return self._values[index], (self._now_ms() - self._taken_ms[index]) & _MASK

    def drop(self, n):
        """Forget the first `n` readings of the last peek: they are delivered. Later ones are never touched."""
        gone = min(n, self._pushed_out)  # delivered after all, though there was no room to keep them
        self.dropped -= gone
        self._pushed_out -= gone
        n = min(n - gone, self._peeked)
        self._peeked -= n
        self._remove(n)

    def tick(self):
        """Keep the time while nothing is put or taken; call it at least once a day."""
        self._now_ms()

    def _remove(self, n):
        self._first = (self._first + n) % self.capacity
        self._count -= n
