"""`ntptime` of the simulated board: the host's clock, if the world has a time server and Wi-Fi is up."""

import time as _time

import _sim
import network

host = "pool.ntp.org"
timeout = 1


def time():
    """Seconds since the epoch of this `time` module."""
    board = _sim.board()
    if not network.linked():
        raise OSError(-202)
    if board.world.get("ntp", "ok") != "ok":
        board.wait_ms(timeout * 1000)
        raise OSError(116)  # ETIMEDOUT
    import machine

    return int(board.host_time()) - machine._EPOCH


def settime():
    import machine

    year, month, day, hour, minute, second, weekday = _time.gmtime(time())[:7]
    machine.RTC().datetime((year, month, day, weekday + 1, hour, minute, second, 0))
