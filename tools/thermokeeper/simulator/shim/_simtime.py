"""`time` of the simulated board: its epoch is 2000, its clock starts there, and waiting may be virtual."""

import time as _host

import _sim

_EPOCH_2000 = 946684800

_gmtime = _host.gmtime
if not hasattr(_host, "monotonic_ns"):
    from time import mktime as _mktime
    from time import ticks_add, ticks_diff

    def ticks_ms():
        return _sim.board().now_ms()

    def ticks_us():
        board = _sim.board()
        return board.now_us() if board.virtual else _host.ticks_us()

    _UTC = _mktime(_gmtime(86400)) - 86400  # what the host's zone adds
else:
    import calendar

    _PERIOD = 1 << 30

    def ticks_ms():
        return _sim.board().now_ms() % _PERIOD

    def ticks_us():
        board = _sim.board()
        return (board.now_us() if board.virtual else _host.monotonic_ns() // 1000) % _PERIOD

    def ticks_add(ticks, delta):
        return (ticks + delta) % _PERIOD

    def ticks_diff(end, start):
        return (end - start + _PERIOD // 2) % _PERIOD - _PERIOD // 2

    _UTC = 0

    def _mktime(when):
        return calendar.timegm(when)


ticks_cpu = ticks_us


def sleep(seconds):
    _sim.board().wait_ms(seconds * 1000)


def sleep_ms(duration_ms):
    _sim.board().wait_ms(duration_ms)


def sleep_us(duration_us):
    _sim.board().wait_ms(duration_us / 1000)


def time():
    return int(_sim.board().unix_time()) - _EPOCH_2000


def time_ns():
    return int(_sim.board().unix_time() * 1000000000) - _EPOCH_2000 * 1000000000


def gmtime(seconds=None):
    seconds = time() if seconds is None else seconds
    if not -0x80000000 <= seconds <= 0x7FFFFFFF:  # v1.25; v1.26 and v1.27 take 64 bits
        raise OverflowError("overflow converting long int to machine word")
    return tuple(_gmtime(seconds + _EPOCH_2000))[:8]


localtime = gmtime


def mktime(when):
    year, month, day, hour, minute, second = when[:6]
    return int(_mktime((year, month, day, hour, minute, second, 0, 0, 0))) - _UTC - _EPOCH_2000
