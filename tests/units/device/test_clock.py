"""Wall time: known, or said to be unknown; what a server says never counts as known."""

import sys
import time

from thermometer.station.clock import Clock, Uptime

EPOCH_S = 946684800 if time.gmtime(0)[0] == 2000 else 0
UNSET_S = 946684800 + 30  # an ESP32 thirty seconds after power-on
NOV_2026_S = 1795292000  # 2026-11-21T20:13:20
LAST_S = 3094168447  # 2068-01-19T03:14:07: gmtime of a board raises OverflowError after it


class World:
    """The board's clock, the ticks, and an NTP server; stands for the ntptime module too."""

    host = "?"
    timeout = None

    def __init__(self, rtc_s=UNSET_S, start_ms=0):
        self.ticks_ms = start_ms
        self.rtc_ns = rtc_s * 1000000000
        self.answer_s = None  # seconds since 1970; an exception to raise
        self.asked = 0
        self.said = []
        self.uptime = Uptime(lambda: self.ticks_ms)
        self.clock = Clock(self.uptime, self.set_rtc, "ntp.example", self.time_ns, self.say)

    def time_ns(self):
        return self.rtc_ns - EPOCH_S * 1000000000

    def set_rtc(self, seconds):
        self.rtc_ns = (seconds + EPOCH_S) * 1000000000

    def say(self, topic, text):
        self.said.append(topic + ": " + text)

    def wait(self, ms):
        self.ticks_ms = time.ticks_add(self.ticks_ms, ms)
        self.rtc_ns += ms * 1000000

    def time(self):
        assert self.timeout, "no timeout"
        self.asked += 1
        if isinstance(self.answer_s, Exception):
            raise self.answer_s
        return self.answer_s - EPOCH_S

    def __enter__(self):
        self._before = sys.modules.get("ntptime")
        sys.modules["ntptime"] = self
        return self

    def __exit__(self, error_type, error, trace):
        if self._before is None:
            del sys.modules["ntptime"]
        else:
            sys.modules["ntptime"] = self._before
        return False


def test_a_clock_that_was_never_set_says_so():
    clock = World().clock
    assert clock.now() is None
    assert clock.stamp() is None


def test_a_clock_that_no_board_can_have_is_not_believed():
    for rtc_s in (LAST_S, LAST_S + 1, 4102444800, 0x7FFFFFFFFF):
        world = World(rtc_s)
        assert world.clock.now() is None
        assert world.clock.stamp() is None
        assert world.clock.learn("Sat, 21 Nov 2026 20:13:20 GMT")
        assert world.clock.stamp() == "2026-11-21T20:13:20.000+0000"
    assert World(LAST_S - 1).clock.stamp() == "2068-01-19T03:14:06.000+0000"


def test_a_set_clock_gives_seconds_since_1970_and_stamps():
    world = World(NOV_2026_S)
    assert world.clock.now() == NOV_2026_S
    assert world.clock.stamp() == "2026-11-21T20:13:20.000+0000"
    assert world.clock.stamp(2000) == "2026-11-21T20:13:18.000+0000"
    assert world.clock.stamp(1) == "2026-11-21T20:13:19.999+0000"
    assert world.clock.stamp(326 * 86400000) == "2025-12-30T20:13:20.000+0000"


def test_ntp_sets_the_clock_with_a_deadline():
    with World() as world:
        world.answer_s = NOV_2026_S
        assert world.clock.sync_ntp()
        assert world.clock.now() == NOV_2026_S
        assert world.host == "ntp.example"
        assert world.timeout == 1


def test_ntp_that_fails_leaves_the_clock_alone():
    bad = (
        (OSError(110, "ETIMEDOUT"), "no answer"),
        (ValueError("buffer too small"), "makes no sense"),
        (2085978496, "no time"),  # an empty timestamp, taken for 2036
        (UNSET_S, "no time"),
        (LAST_S, "no time"),
    )
    for answer, reason in bad:
        with World() as world:
            world.answer_s = answer
            assert not world.clock.sync_ntp()
            assert world.clock.now() is None
            assert reason in world.clock.ntp_error
            assert "ntp.example" in world.clock.ntp_error


def test_the_clock_is_kept_once_a_day_and_sooner_after_a_failure():
    with World() as world:
        world.answer_s = OSError(110)
        for _ in range(60):
            world.clock.keep()
            world.wait(1000)
        assert 2 <= world.asked <= 6
        world.answer_s = NOV_2026_S
        world.wait(3600000)
        asked = world.asked
        for _ in range(47):
            world.clock.keep()
            world.wait(1800000)
        assert world.asked == asked + 1
        assert len(world.said) == 2 and world.said[1] == "clock: set by ntp.example"
        world.wait(3600000)
        world.clock.keep()
        assert world.asked == asked + 2


def test_a_date_header_is_good_for_stamps_and_for_nothing_else():
    world = World()
    assert world.clock.learn("Sat, 21 Nov 2026 20:13:18 GMT")
    assert world.clock.now() is None
    world.wait(2500)
    assert world.clock.now() is None
    assert world.clock.stamp() == "2026-11-21T20:13:20.500+0000"
    assert world.clock.stamp(2500) == "2026-11-21T20:13:18.000+0000"


def test_the_real_clock_wins_over_what_a_server_says():
    world = World(NOV_2026_S)
    assert world.clock.learn("Sun, 22 Nov 2026 20:13:18 GMT")
    assert world.clock.stamp() == "2026-11-21T20:13:20.000+0000"


def test_stamps_stay_in_order_when_date_headers_wobble_by_a_second():
    world = World()
    world.clock.learn("Sat, 21 Nov 2026 20:13:18 GMT")
    first = world.clock.stamp()
    world.wait(100)
    world.clock.learn("Sat, 21 Nov 2026 20:13:17 GMT")
    assert world.clock.stamp() > first
    world.clock.learn("Sat, 21 Nov 2026 20:14:17 GMT")
    assert world.clock.stamp() == "2026-11-21T20:14:17.000+0000"


def test_dates_are_counted_right():
    for text, stamp in (
        ("Thu, 29 Feb 2024 00:00:00 GMT", "2024-02-29T00:00:00.000+0000"),
        ("Fri, 01 Mar 2024 23:59:59 GMT", "2024-03-01T23:59:59.000+0000"),
        ("Tue, 31 Dec 2024 12:00:00 GMT", "2024-12-31T12:00:00.000+0000"),
        ("Wed, 01 Jan 2025 00:00:00 GMT", "2025-01-01T00:00:00.000+0000"),
        ("Thu, 19 Jan 2068 03:14:06 GMT", "2068-01-19T03:14:06.000+0000"),
    ):
        world = World()
        assert world.clock.learn(text)
        assert world.clock.stamp() == stamp


def test_a_header_that_is_no_date_teaches_nothing():
    for text in (
        None,
        "",
        b"Sat, 21 Nov 2026 20:13:18 GMT",
        "Sat, 21 Nov 2026 20:13:18 UTC",
        "Sat, 21 nov 2026 20:13:18 GMT",
        "Sat, 21 anF 2026 20:13:18 GMT",
        "Sat, 00 Nov 2026 20:13:18 GMT",
        "Sat, 32 Nov 2026 20:13:18 GMT",
        "Sat, 21 Nov 2026 24:13:18 GMT",
        "Sat, 21 Nov 2026 20:60:18 GMT",
        "Sat, 21 Nov 2026 -1:13:18 GMT",
        "Sat, 21 Nov 2023 20:13:18 GMT",
        "Thu, 19 Jan 2068 03:14:07 GMT",
        "Sat, 21 Nov 9999 20:13:18 GMT",
        "Saturday, 21-Nov-26 20:13:18 GMT",
        "Sat Nov 21 20:13:18 2026     ",
    ):
        world = World()
        assert not world.clock.learn(text), text
        assert world.clock.stamp() is None


def test_uptime_goes_on_when_ticks_start_again():
    world = World(start_ms=time.ticks_add(0, -1000))
    step_ms = time.ticks_add(0, -1) // 4 + 1
    assert world.uptime.ms() == 0
    for i in range(1, 10):
        world.ticks_ms = time.ticks_add(world.ticks_ms, step_ms)
        assert world.uptime.ms() == i * step_ms
