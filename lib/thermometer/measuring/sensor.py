"""One DS18B20 on a 1-Wire bus: turns what the driver answers into degrees Celsius or into a SensorError.

It is given the driver object (`ds18x20.DS18X20`), so it must not know pins, and it never waits: a conversion is
started, and read 800 ms later. It doesn't print, count or retry over time; that is `sampler`'s part.

What is not a temperature, although the driver returns one:

- 85.0 from a sensor that lost power and has not converted since. After power-on the scratchpad is 50 05 .. .. .. FF
  0C 10. In a genuine DS18B20 the conversion that ends at exactly 85.0 leaves 10 in byte 6, so 0C there tells the two
  apart. Compatible chips, and every DS18S20, may have 0C after a real conversion too. Therefore a suspicious sensor
  gets a mark in its two alarm bytes, which this product doesn't use: RAM, reloaded from EEPROM at power-on. If the
  mark is still there when the next conversion gives 85.0 again, power was there all the time and 85.0 is a
  measurement. So a genuine 85.0 costs one reading at most, and a sensor that browns out in each conversion (the
  usual cause) never passes.
- 0.0 with all nine bytes zero: a wire held low reads so, and its CRC is right. A working sensor has FF and 10 in it.
  Of a DS18S20 the driver then divides by zero, as by a 0 that a clone has in byte 7: a bus error.
- Anything outside -55 to 125 degrees.
"""

import time

CONVERSION_MS = 800  # data sheet: 750 at 12 bits; who reads too early gets the former temperature once more

_POWER_ON_C = 85.0
_POWER_ON_RAW = (b"\x50\x05", b"\xaa\x00")  # the second of a DS18S20, and of others no 85.0
_POWER_ON_BYTE_6 = 0x0C
_MARK = b"\xa5\x5a"
_DS18S20 = 0x10  # family code; it has no configuration byte
_PATIENCE = 3  # searches in which a sensor that has worked may be absent before another takes its place

_BAD_CRC = "CRC error: check wiring and pull-up"
_MISSING = "no sensor on the wire"
_HELD_LOW = "bus stuck: the wire is held low"


class SensorError(Exception):
    """There is no temperature this time; the message is the reason, the same text for the same reason."""


class Sensor:
    """The first DS18B20 found on the bus (`rom`, its 8-byte address); it stays the one while it answers.

    `line`, if given, is called without arguments and returns the level of the idle wire: a search on a wire that is
    held low takes seconds in the driver and finds nothing, so it is not begun.
    """

    def __init__(self, bus, line=None):
        self.rom = None
        self._bus = bus
        self._line = line
        self._proven = False  # this rom has delivered a temperature
        self._absent = 0  # searches in a row without it
        self._search = True  # look who is there before the next conversion
        self._started_ms = None

    def start(self, now_ms):
        """Begin a conversion; SensorError if no sensor is there to do it."""
        self._started_ms = None
        called_ms = time.ticks_ms()
        if self._search:
            self._find()
        self._search = True  # taken back by a good reading
        try:
            self._bus.convert_temp()
        except Exception as error:
            raise SensorError(_reason(error))
        # The conversion counts from its command, and until that there may have been a search, or a collection.
        self._started_ms = time.ticks_add(now_ms, time.ticks_diff(time.ticks_ms(), called_ms))

    def take_over(self, begun_ms):
        """A conversion of whatever is on the wire began at this tick; which sensor that is shows when it is read."""
        self._started_ms = begun_ms

    def ready(self, now_ms):
        """Whether the conversion has had its time."""
        return self._started_ms is not None and time.ticks_diff(now_ms, self._started_ms) >= CONVERSION_MS

    def read(self):
        """The temperature in degrees Celsius that the last conversion found; each is read once."""
        if self._started_ms is None:
            raise SensorError("no conversion was started")
        self._started_ms = None
        if self.rom is None:
            self._find()
        value = self._ask(self._bus.read_temp)
        if value == 0.0:
            self._check_zero()
        elif value == _POWER_ON_C:
            self._check_power_on()
        elif not -55 <= value <= 125:
            raise SensorError("out of range, not a temperature")
        self._search = False
        self._proven = True
        return value

    def _find(self):
        if self._line is not None and not self._line():
            raise SensorError(_HELD_LOW)
        try:
            roms = [bytes(rom) for rom in self._bus.scan()]
        except Exception as error:
            raise SensorError(_reason(error))
        if self.rom in roms:
            self._absent = 0
            return
        self._absent += 1
        if not roms:
            raise SensorError(_MISSING)
        # A search that a disturbance misleads must not move the thermometer to another place.
        if self._proven and self._absent < _PATIENCE:
            raise SensorError("the sensor is gone, another is on the wire")
        self.rom = roms[0]
        self._proven = False
        self._absent = 0

    def _ask(self, method):
        """Call a reading method of the driver; once more if the bits were disturbed on their way."""
        for again in (True, False):
            try:
                return method(self.rom)
            except Exception as error:
                reason = _reason(error)
                if reason is not _BAD_CRC or not again:
                    raise SensorError(reason)

    def _check_zero(self):
        if not any(self._ask(self._bus.read_scratch)):
            raise SensorError(_HELD_LOW)

    def _check_power_on(self):
        scratch = self._ask(self._bus.read_scratch)
        if bytes(scratch[:2]) not in _POWER_ON_RAW:  # it has ended between the two readings
            raise SensorError("the conversion isn't done yet")
        if scratch[6] != _POWER_ON_BYTE_6 or bytes(scratch[2:4]) == _MARK:
            return
        mark = _MARK if self.rom[0] == _DS18S20 else _MARK + bytes(scratch[4:5])
        try:
            self._bus.write_scratch(self.rom, mark)
        except Exception as error:
            raise SensorError(_reason(error))
        raise SensorError("power-on value 85.0: the sensor lost its supply")


def _reason(error):
    """The reason behind an exception of the driver, which raises a bare Exception for a CRC and a class of the bus
    for silence; what is neither is no fault of a sensor and goes on."""
    if type(error) is Exception and error.args == ("CRC error",):
        return _BAD_CRC
    if type(error).__name__ == "OneWireError":
        return _MISSING
    if isinstance(error, (OSError, ArithmeticError)):  # of a DS18S20 it divides by byte 7, whatever that is
        return "bus error"
    raise error
