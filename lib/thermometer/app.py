"""The thermometer: measures on a period, delivers what it measured, and lets keeper look after the rest.

One thread of control; whatever waits calls `pulse`, which measures and feeds the watchdog, so that neither a download
nor a dead network leaves a gap in the readings.
"""

import gc
import time

from keeper import uptime
from keeper.errors import NetError
from keeper.phases import forget
from thermometer.measuring.display import show
from thermometer.measuring.outbox import Outbox
from thermometer.measuring.reporter import Reporter
from thermometer.measuring.sampler import Sampler
from thermometer.measuring.sensor import Sensor
from thermometer.station import hardware
from thermometer.station.station import Station

# Noted before the reset into an update: a sensor that was dead under the old release, too, is no fault of the new one,
# and must not keep a board from a release that may know how to deal with it.
_DEAD_SENSOR = "sensor dead before"
_FIRST_PERIOD_MS = 30_000  # until the factory record is read
_CONVERSION_MS = 2_000  # of the sensor, and then some
_HOLD_MS = 10 * 60_000  # readings that can't be delivered hold up an update for so long; then they are kept in flash


class Thermometer(Station):
    """A station that measures; without an identity it does only that."""

    def __init__(self, board):
        super().__init__(board)
        self._shown = 0
        self._outbox = Outbox()
        self._sampler = Sampler(Sensor(board.bus, board.line), self._outbox, _FIRST_PERIOD_MS)
        if board.begun_ms is None:
            self._sampler.poll()  # the first conversion takes its time while the board settles
        else:
            self._sampler.take_over(board.begun_ms)
        self.pulse()
        self.settle()
        self._sampler.period_ms = self.settings["period_ms"]
        self._health = self._on_trial() if self.lifecycle and self.lifecycle.on_trial else None
        self._excused = _DEAD_SENSOR in self.last_words()
        self.keep(False)
        self._held_ms = None
        self._reporter = Reporter(self._outbox, self.clock, self.lifecycle, self.settings["report_ms"])

    def online(self):
        if self._health:
            self._health.network_ok = True
        self.lifecycle.step()
        self._reporter.step()
        if self._health:
            self._health.report_ok = self._reporter.accepted
            if not self.lifecycle.on_trial:
                self._health = None
                forget("thermometer.proving")

    def pulse(self):
        self._sampler.poll()
        if self._sampler.count != self._shown:
            self._shown = self._sampler.count
            show(self._sampler.last_value)
        super().pulse()

    def missing(self, answered=False):
        health = self._health
        if not health:
            return ""
        health.server_ok = health.server_ok or answered
        health.sensor_ok = self._sampler.sensor_ok or self._excused
        health.report_ok = health.report_ok or (self._excused and not len(self._outbox))
        return health.missing()

    def keep(self, on=True):
        """Readings are kept over a restart, or taken back after it."""
        from thermometer import carrying

        try:
            (carrying.keep if on else carrying.take_back)(self._outbox)
        finally:
            forget("thermometer.carrying", "keeper.keeping")

    def before_reset(self):
        self._wait_for_reading()
        self._deliver()
        super().before_reset()
        if not self._sampler.sensor_ok:
            self.board.note(_DEAD_SENSOR)

    def _on_trial(self):
        from thermometer.proving import Health

        return Health(self.settings["alive_ms"])

    def _deliver(self):
        """Deliver what the reset would lose; NetError if that has to be tried again first."""
        if self._reporter.flush():
            self._held_ms = None
            return
        if self._held_ms is None:
            self._held_ms = uptime.ms()
        if uptime.ms() - self._held_ms < _HOLD_MS:
            error = NetError("waits for %d readings to be delivered" % len(self._outbox))
            error.retry_after_ms = self.lifecycle.asked_ms
            raise error
        self.keep()

    def _wait_for_reading(self):
        """Reset right after a reading: then the gap is what the start takes, and not a period more."""
        count = self._sampler.count
        start_ms = time.ticks_ms()
        while self._sampler.sensor_ok and self._sampler.count == count:
            if time.ticks_diff(time.ticks_ms(), start_ms) > self.settings["period_ms"] + _CONVERSION_MS:
                return
            self.pulse()
            time.sleep_ms(50)


def run():
    """Run for ever."""
    thermometer = Thermometer(hardware.build())
    gc.collect()
    thermometer.run()
