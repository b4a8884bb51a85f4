"""`machine` of the simulated board: resets, watchdog, clock, and pins that lead nowhere."""

import binascii
import time

import _sim

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5
PIN_WAKE = 2
TIMER_WAKE = 4


def reset():
    """Restart the chip: through the bootloader, RTC memory and clock kept."""
    _sim.board().end("reset")


def soft_reset():
    """Restart Python only; the bootloader sees nothing of it."""
    _sim.board().end("soft reset")


def reset_cause():
    return _sim.board().cause


def deepsleep(time_ms=0):
    """Sleep without RAM; waking goes through the bootloader."""
    _sim.board().end("deepsleep %d" % time_ms)


def lightsleep(time_ms=0):
    _sim.board().wait_ms(time_ms)


def idle():
    _sim.board().alive()


def unique_id():
    return binascii.unhexlify(_sim.board().world.get("unique_id", "240ac4000001"))


_freq_hz = 160000000


def freq(hz=None):
    global _freq_hz
    if hz is not None:
        if hz not in (20000000, 40000000, 80000000, 160000000, 240000000):
            raise ValueError("frequency must be 20MHz, 40MHz, 80Mhz, 160MHz or 240MHz")
        _freq_hz = hz
    return _freq_hz


def disable_irq():
    return 0


def enable_irq(state):
    pass


class WDT:
    """The task watchdog: once started it can't be stopped, and outlives everything but a reset."""

    def __init__(self, id=0, timeout=5000):
        if id != 0:
            raise ValueError("WDT(%d) does not exist" % id)
        if timeout <= 0:
            raise ValueError("WDT timeout too short")
        _sim.board().arm(timeout)

    def feed(self):
        _sim.board().feed()


class RTC:
    """Clock, and the 2048 bytes of memory that outlive everything but a power cut."""

    def init(self, datetime):
        self.datetime(datetime)

    def datetime(self, datetime=None):
        """(year, month, day, weekday, hours, minutes, seconds, microseconds)"""
        board = _sim.board()
        if datetime is None:
            seconds = board.unix_time()
            year, month, day, hour, minute, second, weekday = time.gmtime(int(seconds) - _EPOCH)[:7]
            return year, month, day, weekday, hour, minute, second, int(seconds % 1 * 1000000)
        year, month, day, _, hour, minute, second = datetime[:7]
        board.set_unix_time(_days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second)

    def memory(self, data=None):
        board = _sim.board()
        board.alive()
        if data is None:
            return board.rtc
        if len(data) > 2048:
            raise ValueError("buffer too long")
        board.rtc = bytes(data)
        board.tell("rtc " + binascii.hexlify(board.rtc).decode())


def _days(year, month, day):
    """Days since 1 January 1970."""
    if month < 3:
        year -= 1
        month += 12
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * month - 457) // 5 + day - 719469


# The epoch of the `time` in use: 2000 on the board, 1970 where a test imports this without the board's `time`.
_EPOCH = 946684800 if time.gmtime(0)[0] == 2000 else 0


class Pin:
    """A pin: remembers what was written to it."""

    IN = 1
    OUT = 3
    OPEN_DRAIN = 7
    PULL_UP = 2
    PULL_DOWN = 1
    IRQ_RISING = 1
    IRQ_FALLING = 2

    def __init__(self, id, mode=-1, pull=-1, *, value=None):
        if not 0 <= id < 40:
            raise ValueError("invalid pin")
        self.id = id
        self._value = 0
        self.init(mode, pull, value=value)

    def init(self, mode=-1, pull=-1, *, value=None):
        if value is not None:
            self._value = int(bool(value))

    def value(self, value=None):
        if value is None:
            return self._value
        self._value = int(bool(value))

    __call__ = value

    def on(self):
        self._value = 1

    def off(self):
        self._value = 0
