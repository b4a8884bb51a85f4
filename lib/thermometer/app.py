"""The thermometer: measures on a period, delivers what it measured, and lets keeper look after the rest.

One thread of control; whatever waits calls `pulse`, which measures and feeds the watchdog, so that neither a download
nor a dead network leaves a gap in the readings.
"""

import gc
import time

from thermometer import hardware
from thermometer.display import show
from thermometer.health import Health
from thermometer.outbox import Outbox
from thermometer.reporter import Reporter
from thermometer.sampler import Sampler
from thermometer.sensor import Sensor
from thermometer.station import Station

# Noted before the reset into an update: a sensor that was dead under the old release, too, is no fault of the new one,
# and must not keep a board from a release that may know how to deal with it.
_DEAD_SENSOR = "sensor dead before"
_CONVERSION_MS = 2_000  # of the sensor, and then some


class Thermometer(Station):
    """A station that measures; without an identity it does only that."""

    def __init__(self, board):
        super().__init__(board)
        self._shown = 0
        self._outbox = Outbox(uptime=self.uptime)
        self._sampler = Sampler(Sensor(board.bus, board.line), self._outbox, self.settings["period_ms"])
        self._health = Health(self.settings["alive_ms"])
        self._excused = _DEAD_SENSOR in self.last_words()
        self.begin()
        self._reporter = Reporter(self._outbox, self.clock, self._lifecycle, self.settings["report_ms"])

    def online(self):
        self._health.network_ok = True
        self._lifecycle.step()
        self._reporter.step()

    def pulse(self):
        self._sampler.poll()
        if self._sampler.count != self._shown:
            self._shown = self._sampler.count
            show(self._sampler.last_value)
        super().pulse()

    def missing(self):
        # Asked when the server has answered.
        self._health.server_ok = True
        self._health.sensor_ok = self._sampler.sensor_ok or self._excused
        return self._health.missing()

    def before_reset(self):
        self._wait_for_reading()
        self._reporter.flush()
        super().before_reset()
        if not self._sampler.sensor_ok:
            self._board.note(_DEAD_SENSOR)

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
