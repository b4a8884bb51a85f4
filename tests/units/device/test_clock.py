"""Wall time: known, or said to be unknown; what a server says never counts as known, unless it was checked."""

import socket
import struct
import sys
import time

from fake_device import clock_of
from keeper import uptime
from thermometer.station.clock import Clock

EPOCH_S = 946684800 if time.gmtime(0)[0] == 2000 else 0
UNSET_S = 946684800 + 30  # an ESP32 thirty seconds after power-on
NOV_2026_S = 1795292000  # 2026-11-21T20:13:20
LAST_S = 3094168447  # 2068-01-19T03:14:07: gmtime of a board raises OverflowError after it
NTP_S = 2208988800  # from 1900 to 1970


class World:
    """The board's clock, its uptime, and a time server; stands for the module socket, too.

    answers: what comes of the next questions: seconds since 1970, an exception to raise, or bytes.
    """

    AF_INET, SOCK_DGRAM = socket.AF_INET, socket.SOCK_DGRAM

    def __init__(self, rtc_s=UNSET_S):
        self.now_ms = 0
        self.rtc_ns = rtc_s * 1000000000
        self.answer = NOV_2026_S
        self.leap, self.stratum, self.mode = 0, 2, 4
        self.hosts = []
        self.timeouts = []
        self.open = 0
        self.said = []
        self.clock = Clock(self.set_rtc, "ntp.example", self.time_ns, self.say, self.uptime_ms)

    def uptime_ms(self):
        return self.now_ms

    def time_ns(self):
        return self.rtc_ns - EPOCH_S * 1000000000

    def set_rtc(self, seconds):
        self.rtc_ns = (seconds + EPOCH_S) * 1000000000

    def say(self, topic, text):
        self.said.append(topic + ": " + text)

    def wait(self, ms):
        self.now_ms += ms
        self.rtc_ns += ms * 1000000

    # socket

    def getaddrinfo(self, host, port, family, kind):
        assert port == 123 and kind == self.SOCK_DGRAM
        self.hosts.append(host)
        return [(self.AF_INET, kind, 0, "", ("192.0.2.1", 123))]

    def socket(self, family, kind):
        self.open += 1
        return self

    def settimeout(self, seconds):
        self.timeouts.append(seconds)

    def sendto(self, query, address):
        assert len(query) == 48 and query[0] == 0x1B and self.timeouts
        self.query = bytes(query)

    def recv(self, size):
        if isinstance(self.answer, Exception):
            raise self.answer
        if isinstance(self.answer, bytes):
            return self.answer
        head = bytes([self.leap << 6 | 3 << 3 | self.mode, self.stratum])
        seconds = (self.answer + NTP_S) % (1 << 32)
        return head + bytes(22) + self.query[40:48] + bytes(8) + struct.pack(">II", seconds, 0)

    def close(self):
        self.open -= 1

    def __enter__(self):
        sys.modules["socket"] = self  # the phase is loaded at each question
        return self

    def __exit__(self, error_type, error, trace):
        sys.modules["socket"] = socket
        assert self.open == 0, "a socket stays open"
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
        world.clock.learn("Sat, 21 Nov 2026 20:13:20 GMT")
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
        assert world.clock.ask("sync", "ntp.example")
        assert world.clock.now() == NOV_2026_S
        assert world.hosts == ["ntp.example"] and world.timeouts == [1]


def test_ntp_that_fails_leaves_the_clock_alone():
    bad = (
        (OSError(110, "ETIMEDOUT"), "no answer"),
        (b"", "makes no sense"),
        (b"\x1c\x02" + bytes(45), "makes no sense"),
        (b"\x1c\x02" + bytes(46), "makes no sense"),  # to another's question
        (UNSET_S, "no time"),
        (LAST_S, "no time"),
    )
    for answer, reason in bad:
        with World() as world:
            world.answer = answer
            assert not world.clock.ask("sync", "ntp.example")
            assert world.clock.now() is None
            assert reason in world.clock.ntp_error, world.clock.ntp_error
            assert "ntp.example" in world.clock.ntp_error


def test_a_time_server_that_has_no_time_itself_is_not_believed():
    for name, value in (("leap", 3), ("stratum", 0), ("stratum", 16), ("mode", 3), ("mode", 5)):
        with World() as world:
            setattr(world, name, value)
            assert not world.clock.ask("sync", "ntp.example"), (name, value)
            assert world.clock.now() is None


def test_no_time_before_the_running_release_was_made_is_believed():
    world = World(NOV_2026_S - 60)
    world.clock.ask("begin_at", "2026-11-21T20:13:18Z")
    assert world.clock.first_s == NOV_2026_S - 2 and world.clock.now() is None
    with world:
        world.answer = NOV_2026_S - 3
        assert not world.clock.ask("sync", "ntp.example")
        world.answer = NOV_2026_S
        assert world.clock.ask("sync", "ntp.example")
    for made in (None, "", "2023-11-21T20:13:18Z", "2026-13-21T20:13:18Z", 7, "2101-11-21T20:13:18Z"):
        world.clock.ask("begin_at", made)
        assert world.clock.first_s == NOV_2026_S - 2


def test_the_count_of_ntp_that_starts_again_in_2036_goes_on():
    with World() as world:
        world.answer = 2085978496 + 7  # 7 February 2036 and a bit
        assert world.clock.ask("sync", "ntp.example")
        assert world.clock.now() == 2085978496 + 7


def test_the_clock_is_kept_once_a_day_and_sooner_after_a_failure():
    with World() as world:
        world.answer = OSError(110)
        for _ in range(60):
            world.clock.keep()
            world.wait(1000)
        assert 2 <= len(world.hosts) <= 6
        world.answer = NOV_2026_S
        world.wait(3600000)
        asked = len(world.hosts)
        for _ in range(47):
            world.clock.keep()
            world.wait(1800000)
        assert len(world.hosts) == asked + 1
        assert len(world.said) == 2 and world.said[1] == "clock: set by ntp.example"
        world.wait(3600000)
        world.clock.keep()
        assert len(world.hosts) == asked + 2


def test_where_the_time_server_is_silent_the_router_is_asked_in_turn():
    with World() as world:
        world.answer = OSError(110)
        for _ in range(200):
            world.clock.keep("192.0.2.254")
            world.wait(1000)
        assert world.hosts[:4] == ["ntp.example", "192.0.2.254"] * 2


def test_where_udp_is_blocked_certificates_are_judged_by_the_release_s_time_and_then_by_the_server_s():
    with World() as world:
        clock = world.clock
        clock.checked = True
        clock.ask("begin_at", "2026-11-01T00:00:00Z")
        world.answer = OSError(110)
        for _ in range(60):
            clock.keep()
            judging = clock.can_judge()
            clock.rest()
            assert clock.now() is None
            world.wait(1000)
        assert judging
        assert clock.can_judge()
        assert time.gmtime(world.time_ns() // 1000000000)[:3] == (2026, 11, 1), "mbedTLS looks at the board's clock"
        assert clock.now() is None and clock.stamp() is None, "that is no time for anything else"
        clock.learn("Sat, 21 Nov 2026 20:13:18 GMT")
        world.wait(2000)
        clock.rest()
        assert clock.now() == NOV_2026_S and clock.stamp()[:19] == "2026-11-21T20:13:20"
        assert world.said[-1] == "clock: set by the server"


def test_a_server_that_was_not_checked_sets_no_clock_and_without_a_release_s_time_none_is_assumed():
    with World() as world:
        world.answer = OSError(110)
        for _ in range(60):
            world.clock.keep()
            assert not world.clock.can_judge()
            world.clock.learn("Sat, 21 Nov 2026 20:13:18 GMT")
            world.wait(1000)
        assert world.clock.stamp() and world.clock.now() is None


def test_a_date_header_is_good_for_stamps_and_for_nothing_else():
    world = World()
    world.clock.learn("Sat, 21 Nov 2026 20:13:18 GMT")
    assert world.clock.now() is None
    world.wait(2500)
    assert world.clock.now() is None
    assert world.clock.stamp() == "2026-11-21T20:13:20.500+0000"
    assert world.clock.stamp(2500) == "2026-11-21T20:13:18.000+0000"


def test_the_real_clock_wins_over_what_a_server_says():
    world = World(NOV_2026_S)
    world.clock.learn("Sun, 22 Nov 2026 20:13:18 GMT")
    assert world.clock.stamp() == "2026-11-21T20:13:20.000+0000"


def test_stamps_stay_in_order_when_date_headers_wobble_by_a_second():
    world = World()
    world.clock.learn("Sat, 21 Nov 2026 20:13:18 GMT")
    first = world.clock.stamp()
    world.wait(600000)
    world.clock.learn("Sat, 21 Nov 2026 20:23:17 GMT")
    assert world.clock.stamp() == first.replace("20:13", "20:23")
    world.wait(600000)
    world.clock.learn("Sat, 21 Nov 2026 20:34:17 GMT")
    assert world.clock.stamp() == "2026-11-21T20:34:17.000+0000"


def test_dates_are_counted_right():
    for text, stamp in (
        ("Thu, 29 Feb 2024 00:00:00 GMT", "2024-02-29T00:00:00.000+0000"),
        ("Fri, 01 Mar 2024 23:59:59 GMT", "2024-03-01T23:59:59.000+0000"),
        ("Tue, 31 Dec 2024 12:00:00 GMT", "2024-12-31T12:00:00.000+0000"),
        ("Wed, 01 Jan 2025 00:00:00 GMT", "2025-01-01T00:00:00.000+0000"),
        ("Thu, 19 Jan 2068 03:14:06 GMT", "2068-01-19T03:14:06.000+0000"),
    ):
        world = World()
        world.clock.learn(text)
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
        world.clock.learn(text)
        assert world.clock.stamp() is None, text


def test_uptime_goes_on_when_ticks_start_again():
    with clock_of(uptime) as ticks:
        start_ms = uptime.ms()
        step_ms = (1 << 28) + 1
        for i in range(1, 10):
            ticks.pass_ms(step_ms)
            assert uptime.ms() - start_ms == i * step_ms
