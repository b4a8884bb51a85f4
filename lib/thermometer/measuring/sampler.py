"""Samples the sensor on a fixed period and puts each reading into the outbox, whatever else the board is doing.

`poll` is called from the pulse, so it is cheap when nothing is due and doesn't wait. Trouble with the sensor is
counted, said once and tried again at the next sample. This module must not know the network or what a download is.
"""

import time

from keeper.console import say as _say
from thermometer.measuring.sensor import SensorError

MIN_PERIOD_MS = 1000  # a conversion takes 750; a shorter period is taken for this one


class Sampler:
    """`last_value` in degrees Celsius (None before the first), `count` of readings, `faults` without one.

    `trouble` is the reason of the last fault, None once the sensor reads again. `longest_gap_ms` is the longest time
    between two readings so far. A reading is dated by the start of its conversion.
    """

    def __init__(self, sensor, outbox, period_ms, now=time.ticks_ms, say=_say):
        self.last_value = None
        self.count = 0
        self.faults = 0
        self.longest_gap_ms = 0
        self.trouble = None
        self._sensor = sensor
        self._outbox = outbox
        self._now = now
        self._say = say
        self._due_ms = now()
        self.period_ms = period_ms
        self._started_ms = 0
        self._last_ms = 0
        self._converting = False

    @property
    def sensor_ok(self):
        """Whether the last sample gave a reading."""
        return self.count > 0 and self.trouble is None

    @property
    def period_ms(self):
        """Time from one sample to the next; may be changed at any time."""
        return self._period_ms

    @period_ms.setter
    def period_ms(self, period_ms):
        self._period_ms = max(period_ms, MIN_PERIOD_MS)
        now_ms = self._now()
        if time.ticks_diff(self._due_ms, now_ms) > self._period_ms:
            self._due_ms = time.ticks_add(now_ms, self._period_ms)

    def poll(self):
        """Start or finish a sample if it is time. Call it at least every 250 ms."""
        now_ms = self._now()
        if self._converting:
            if self._sensor.ready(now_ms):
                self._finish(now_ms)
        elif time.ticks_diff(now_ms, self._due_ms) >= 0:
            self._begin(now_ms)

    def take_over(self, begun_ms):
        """Take the conversion that began at this tick for the first sample."""
        self._due_ms = begun_ms
        self._plan_next(self._now())
        self._outbox.tick()
        self._sensor.take_over(begun_ms)
        self._started_ms = begun_ms
        self._converting = True

    def _begin(self, now_ms):
        self._plan_next(now_ms)
        self._outbox.tick()
        try:
            self._sensor.start(now_ms)
        except SensorError as error:
            self._fault(str(error))
            return
        self._started_ms = now_ms
        self._converting = True

    def _finish(self, now_ms):
        self._converting = False
        try:
            value = self._sensor.read()
        except SensorError as error:
            self._fault(str(error))
            return
        self._outbox.put(value, time.ticks_diff(now_ms, self._started_ms))
        if self.count:
            self.longest_gap_ms = max(self.longest_gap_ms, time.ticks_diff(self._started_ms, self._last_ms))
        self._last_ms = self._started_ms
        if self.trouble is not None or not self.count:
            self._say("sensor", "reads %.2f C" % value)
        self.trouble = None
        self.last_value = value
        self.count += 1

    def _plan_next(self, now_ms):
        """The next point of the grid that is at least half a period away: no drift, and no burst after a block."""
        late_ms = time.ticks_diff(now_ms, self._due_ms)
        self._due_ms = time.ticks_add(self._due_ms, (late_ms // self._period_ms + 1) * self._period_ms)
        if time.ticks_diff(self._due_ms, now_ms) * 2 < self._period_ms:
            self._due_ms = time.ticks_add(self._due_ms, self._period_ms)

    def _fault(self, reason):
        self.faults += 1
        if reason != self.trouble:
            self.trouble = reason
            self._say("sensor", reason)
