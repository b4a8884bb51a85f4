"""The sampler's cadence and its patience with a bad sensor."""

import gc
import time

import micropython

from thermometer.measuring.outbox import Outbox
from thermometer.measuring.sampler import Sampler
from thermometer.measuring.sensor import CONVERSION_MS, SensorError


class Bench:
    """A time that moves when told, a sensor that behaves like Sensor, and what was said."""

    def __init__(self, period_ms=2000, start_ms=0):
        self.now_ms = start_ms
        self.start_ms = start_ms
        self.celsius = 20.0
        self.start_fault = None
        self.read_fault = None
        self.said = []
        self.starts = []
        self._converting_since = None
        self.outbox = Outbox(100, self.ms)
        self.sampler = Sampler(self, self.outbox, period_ms, self.now, self.say)

    def now(self):
        return self.now_ms

    def ms(self):
        return time.ticks_diff(self.now_ms, self.start_ms)

    def say(self, topic, text):
        self.said.append(topic + ": " + text)

    def start(self, now_ms):
        if self.start_fault:
            raise SensorError(self.start_fault)
        assert self._converting_since is None, "two conversions at once"
        self._converting_since = now_ms
        self.starts.append(self.ms())

    def take_over(self, begun_ms):
        self._converting_since = begun_ms

    def ready(self, now_ms):
        return time.ticks_diff(now_ms, self._converting_since) >= CONVERSION_MS

    def read(self):
        assert self.ready(self.now_ms)
        self._converting_since = None
        if self.read_fault:
            raise SensorError(self.read_fault)
        return self.celsius

    def run(self, ms, step_ms=50):
        """Poll every `step_ms` until `ms` have gone by."""
        end_ms = self.ms() + ms
        self.sampler.poll()
        while self.ms() < end_ms:
            self.block(step_ms)
            self.sampler.poll()

    def block(self, ms):
        self.now_ms = time.ticks_add(self.now_ms, ms)


def test_samples_come_on_the_period_and_dated_by_their_conversion():
    bench = Bench()
    bench.run(7000)
    assert bench.starts == [0, 2000, 4000, 6000]
    assert bench.sampler.count == 4
    assert bench.sampler.last_value == 20.0
    assert bench.sampler.longest_gap_ms == 2000
    assert [age_ms for _, age_ms in bench.outbox.peek(9)] == [7000, 5000, 3000, 1000]


def test_a_conversion_that_began_before_is_the_first_sample_and_the_period_counts_from_it():
    for late_ms in (300, 900, 2500):
        bench = Bench(start_ms=time.ticks_add(0, -3000))
        bench.block(late_ms)
        bench.sampler = Sampler(bench, bench.outbox, 2000, bench.now, bench.say)  # made after it began
        bench.sampler.take_over(time.ticks_add(bench.now_ms, -late_ms))
        bench.run(7000 - late_ms)
        starts = [2000, 4000, 6000] if late_ms < 1000 else [4000, 6000]
        assert bench.starts == starts
        assert [age_ms for _, age_ms in bench.outbox.peek(9)] == [7000 - start_ms for start_ms in [0] + starts]


def test_polls_at_odd_times_cause_no_drift():
    bench = Bench()
    bench.run(200000, step_ms=237)
    assert bench.sampler.count == 100
    for i, start_ms in enumerate(bench.starts):
        assert 0 <= start_ms - 2000 * i < 237


def test_ticks_that_start_again_change_nothing():
    bench = Bench(start_ms=time.ticks_add(0, -3000))
    bench.run(7000)
    assert bench.starts == [0, 2000, 4000, 6000]
    assert bench.sampler.longest_gap_ms == 2000


def test_a_block_shifts_one_sample_and_makes_no_burst():
    for period_ms, block_ms in ((1000, 850), (4000, 3900), (4000, 2100), (4000, 1900)):
        bench = Bench(period_ms)
        bench.run(2 * period_ms - 100)
        bench.block(block_ms)
        bench.run(5 * period_ms)
        gaps = [b - a for a, b in zip(bench.starts, bench.starts[1:])]
        assert max(gaps) <= 2 * period_ms
        assert min(gaps) >= period_ms // 2
        assert bench.starts[-1] % period_ms == 0  # back on the grid
        assert bench.sampler.longest_gap_ms == max(gaps)


def test_after_a_long_block_missed_samples_are_not_caught_up():
    bench = Bench()
    bench.run(1000)
    bench.block(60000)
    bench.run(4000)
    assert bench.starts == [0, 61000, 62000, 64000]
    assert bench.sampler.longest_gap_ms == 61000


def test_a_block_during_a_conversion_keeps_its_true_time():
    bench = Bench()
    bench.run(100)
    bench.block(30000)
    bench.sampler.poll()
    assert bench.outbox.peek(1) == [(20.0, 30100)]


def test_a_missing_sensor_is_counted_said_once_and_recovers():
    bench = Bench()
    bench.start_fault = "no sensor on the wire"
    bench.run(5000)
    assert bench.sampler.faults == 3
    assert not bench.sampler.sensor_ok
    assert bench.sampler.last_value is None
    bench.start_fault = None
    bench.run(4000)
    assert bench.sampler.sensor_ok
    assert bench.said == ["sensor: no sensor on the wire", "sensor: reads 20.00 C"]
    assert len(bench.outbox) == bench.sampler.count == 2


def test_a_bad_reading_never_reaches_the_outbox():
    bench = Bench()
    bench.run(1000)
    bench.read_fault = "CRC error"
    bench.run(4000)
    assert (bench.sampler.count, bench.sampler.faults, len(bench.outbox)) == (1, 2, 1)
    bench.read_fault = "power-on value"
    bench.run(2000)
    bench.read_fault = None
    bench.run(2000)
    assert bench.said == [
        "sensor: reads 20.00 C",
        "sensor: CRC error",
        "sensor: power-on value",
        "sensor: reads 20.00 C",
    ]
    assert bench.sampler.longest_gap_ms == 8000


def test_a_fault_of_the_program_is_not_hidden():
    bench = Bench()
    bench.start = None
    try:
        bench.sampler.poll()
    except TypeError:
        return
    raise AssertionError("hidden")


def test_a_shorter_period_holds_from_now_on():
    bench = Bench(period_ms=60000)
    bench.run(1000)
    bench.sampler.period_ms = 2000
    bench.run(6000)
    assert bench.starts == [0, 3000, 5000, 7000]


def test_a_period_shorter_than_a_conversion_allows_is_lengthened():
    bench = Bench(period_ms=10)
    bench.run(2000)
    assert bench.starts == [0, 1000, 2000]


def test_a_poll_with_nothing_to_do_takes_no_memory():
    lock = getattr(micropython, "heap_lock", gc.disable)
    unlock = getattr(micropython, "heap_unlock", gc.enable)
    bench = Bench()
    bench.run(100)
    poll = bench.sampler.poll
    for idle_ms in (100, 1000):  # during a conversion, and between two
        lock()
        poll()
        poll()
        unlock()
        bench.run(idle_ms)
    assert bench.sampler.count == 1
