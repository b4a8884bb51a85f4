"""The sensor behind a driver that behaves like ds18x20 with real chips on the wire."""

import time

from support import raises
from thermometer.measuring.sensor import CONVERSION_MS, Sensor, SensorError

_EEPROM = b"\x4b\x46"


class OneWireError(Exception):
    pass


class Chip:
    """A DS18B20: scratchpad, alarm bytes in EEPROM, a conversion that takes its time and dies with the supply."""

    def __init__(self, rom, celsius=21.5, clone=False):
        self.rom = rom
        self.celsius = celsius
        self.clone = clone  # leaves byte 6 as it was at power-on
        self.brownout = False  # loses power in each conversion
        self.power_on()

    def power_on(self):
        self.scratch = bytearray(b"\x50\x05" + _EEPROM + b"\x7f\xff\x0c\x10")
        self.ready_ms = None

    def convert(self, now_ms):
        self.ready_ms = time.ticks_add(now_ms, 750)

    def settle(self, now_ms):
        if self.ready_ms is None or time.ticks_diff(now_ms, self.ready_ms) < 0:
            return
        self.ready_ms = None
        if self.brownout:
            self.power_on()
            return
        raw = int(self.celsius * 16) & 0xFFFF
        self.scratch[0] = raw & 0xFF
        self.scratch[1] = raw >> 8
        if not self.clone:
            self.scratch[6] = 16 - (raw & 15)


class OlderChip(Chip):
    """A DS18S20: half degrees, the rest in bytes 6 (16 less sixteenths) and 7, which is 16."""

    def power_on(self):
        self.scratch = bytearray(b"\xaa\x00" + _EEPROM + b"\xff\xff\x0c\x10")
        self.ready_ms = None

    def settle(self, now_ms):
        converted = self.ready_ms is not None and time.ticks_diff(now_ms, self.ready_ms) >= 0
        super().settle(now_ms)
        if converted and not self.brownout:
            sixteenths = int(self.celsius * 16) + 4
            self.scratch[0] = sixteenths // 16 * 2
            self.scratch[1] = 0
            self.scratch[6] = 16 - sixteenths % 16


class Wire:
    """Stands for ds18x20.DS18X20 over a bus with chips on it."""

    def __init__(self, *chips, now_ms=0):
        self.chips = list(chips)
        self.now_ms = now_ms
        self.held_low = False
        self.disturbed = 0  # readings that will arrive with a wrong bit
        self.mislead = 0  # searches that will miss the first chip
        self.scans = 0
        self.command_ms = 0  # how long it takes to search the wire and to send the command

    def line(self):
        return 0 if self.held_low else 1

    def wait(self, ms):
        self.now_ms = time.ticks_add(self.now_ms, ms)

    def _presence(self):
        if not self.chips and not self.held_low:
            raise OneWireError

    def scan(self):
        self.scans += 1
        if self.held_low:
            return []
        roms = [bytearray(chip.rom) for chip in self.chips]
        if self.mislead:
            self.mislead -= 1
            del roms[0]
        return roms

    def convert_temp(self):
        self._presence()
        if not self.held_low:
            for chip in self.chips:
                chip.convert(time.ticks_add(self.now_ms, self.command_ms))

    def read_scratch(self, rom):
        self._presence()
        if self.held_low:
            return bytearray(9)
        for chip in self.chips:
            if chip.rom == rom and not self.disturbed:
                chip.settle(self.now_ms)
                return chip.scratch + b"\x00"
        self.disturbed = max(0, self.disturbed - 1)
        raise Exception("CRC error")

    def write_scratch(self, rom, data):
        self._presence()
        for chip in self.chips:
            if chip.rom == rom:
                chip.scratch[2 : 2 + len(data)] = data

    def read_temp(self, rom):
        scratch = self.read_scratch(rom)
        raw = scratch[1] << 8 | scratch[0]
        if rom[0] == 0x10:
            return (raw >> 1) - 0.25 + (scratch[7] - scratch[6]) / scratch[7]
        return (raw - 0x10000 if raw & 0x8000 else raw) / 16


A = b"\x28AAAAAA\x01"
B = b"\x28BBBBBB\x02"


def measure(sensor, wire):
    """One whole sample, read as soon as it may be."""
    sensor.start(wire.now_ms)
    for _ in range(2 * CONVERSION_MS):
        if sensor.ready(wire.now_ms):
            break
        wire.wait(1)
    return sensor.read()


def test_a_conversion_that_begins_a_little_after_its_start_has_its_time_all_the_same():
    chip = Chip(A, 20.0)
    wire = Wire(chip)
    wire.command_ms = 40
    sensor = Sensor(wire)
    assert measure(sensor, wire) == 20.0
    chip.celsius = 21.0
    assert measure(sensor, wire) == 21.0


def test_a_temperature_is_read_once_its_conversion_has_had_time():
    wire = Wire(Chip(A, -10.0625))
    sensor = Sensor(wire)
    assert not sensor.ready(wire.now_ms)
    sensor.start(wire.now_ms)
    wire.wait(CONVERSION_MS - 1)
    assert not sensor.ready(wire.now_ms)
    wire.wait(100)
    assert sensor.ready(wire.now_ms)
    assert sensor.read() == -10.0625
    assert not sensor.ready(wire.now_ms)
    with raises(SensorError, "no conversion"):
        sensor.read()


def test_ticks_that_start_again_during_a_conversion_change_nothing():
    wire = Wire(Chip(A), now_ms=time.ticks_add(0, -100))
    assert measure(Sensor(wire), wire) == 21.5


def test_a_missing_sensor_is_said_and_found_when_it_comes():
    wire = Wire()
    sensor = Sensor(wire)
    with raises(SensorError, "no sensor on the wire"):
        sensor.start(wire.now_ms)
    assert not sensor.ready(wire.now_ms)
    wire.chips.append(Chip(A))
    assert measure(sensor, wire) == 21.5


def test_a_sensor_unplugged_during_a_conversion_is_no_temperature():
    wire = Wire(Chip(A))
    sensor = Sensor(wire)
    sensor.start(wire.now_ms)
    chip = wire.chips.pop()
    wire.wait(CONVERSION_MS)
    with raises(SensorError, "no sensor on the wire"):
        sensor.read()
    chip.power_on()
    wire.chips.append(chip)
    assert measure(sensor, wire) == 21.5


def test_one_disturbed_reading_is_repeated_and_a_second_is_an_error():
    wire = Wire(Chip(A))
    sensor = Sensor(wire)
    wire.disturbed = 1
    assert measure(sensor, wire) == 21.5
    wire.disturbed = 2
    with raises(SensorError, "CRC error"):
        measure(sensor, wire)
    assert measure(sensor, wire) == 21.5


def test_the_power_on_value_is_no_temperature():
    for clone in (False, True):
        chip = Chip(A, clone=clone)
        wire = Wire(chip)
        sensor = Sensor(wire)
        assert measure(sensor, wire) == 21.5
        chip.brownout = True
        for _ in range(5):  # it never comes to be believed
            with raises(SensorError, "power-on value"):
                measure(sensor, wire)
        chip.brownout = False
        assert measure(sensor, wire) == 21.5


def test_a_genuine_85_degrees_is_a_temperature_at_once():
    wire = Wire(Chip(A, 85.0))
    assert measure(Sensor(wire), wire) == 85.0


def test_a_compatible_chip_at_85_degrees_costs_one_reading_only():
    wire = Wire(Chip(A, 85.0, clone=True))
    sensor = Sensor(wire)
    with raises(SensorError, "power-on value"):
        measure(sensor, wire)
    assert wire.chips[0].scratch[4] == 0x7F  # the resolution is as it was
    assert measure(sensor, wire) == 85.0
    assert measure(sensor, wire) == 85.0
    wire.chips[0].brownout = True  # and what it said before doesn't cover a real loss of power
    with raises(SensorError, "power-on value"):
        measure(sensor, wire)


def test_an_older_chip_is_believed_and_refused_as_the_others_are():
    chip = OlderChip(b"\x10CCCCCC\x03", 21.5)
    wire = Wire(chip)
    sensor = Sensor(wire)
    assert measure(sensor, wire) == 21.5
    chip.brownout = True
    for _ in range(3):
        with raises(SensorError, "power-on value"):
            measure(sensor, wire)
    chip.brownout = False
    chip.celsius = 85.0  # its bytes are the same as after power-on, but for the mark, which power has kept
    assert measure(sensor, wire) == 85.0
    wire.held_low = True  # the driver divides by zero
    with raises(SensorError, "bus error"):
        measure(sensor, wire)


def test_a_zero_that_the_driver_divides_by_is_no_end_of_the_program():
    chip = OlderChip(b"\x10CCCCCC\x03", 21.5)
    wire = Wire(chip)
    sensor = Sensor(wire)
    assert measure(sensor, wire) == 21.5
    chip.scratch[7] = 0
    with raises(SensorError, "bus error"):
        measure(sensor, wire)
    chip.scratch[7] = 16
    assert measure(sensor, wire) == 21.5


def test_a_wire_held_low_is_not_zero_degrees():
    wire = Wire(Chip(A, 0.0))
    sensor = Sensor(wire)
    assert measure(sensor, wire) == 0.0
    wire.held_low = True
    with raises(SensorError, "held low"):
        measure(sensor, wire)


def test_a_wire_held_low_is_not_searched_because_that_takes_seconds():
    wire = Wire(Chip(A))
    wire.held_low = True
    sensor = Sensor(wire, wire.line)
    with raises(SensorError, "held low"):
        sensor.start(wire.now_ms)
    assert wire.scans == 0
    wire.held_low = False
    assert measure(sensor, wire) == 21.5


def test_what_is_beyond_the_sensors_range_is_no_temperature():
    for celsius in (-55.0625, 125.0625, 2000):
        wire = Wire(Chip(A, celsius))
        with raises(SensorError, "out of range"):
            measure(Sensor(wire), wire)
    for celsius in (-55, 125):
        wire = Wire(Chip(A, celsius))
        assert measure(Sensor(wire), wire) == celsius


def test_a_search_costs_nothing_while_the_sensor_works():
    wire = Wire(Chip(A))
    sensor = Sensor(wire)
    for _ in range(5):
        measure(sensor, wire)
    assert wire.scans == 1


def test_of_several_sensors_the_first_is_kept():
    wire = Wire(Chip(A, 20.0), Chip(B, 90.0))
    sensor = Sensor(wire)
    assert measure(sensor, wire) == 20.0
    wire.disturbed = 2
    with raises(SensorError):
        measure(sensor, wire)
    wire.mislead = 1
    with raises(SensorError, "another is on the wire"):
        measure(sensor, wire)
    assert measure(sensor, wire) == 20.0
    assert sensor.rom == A


def test_a_sensor_that_was_replaced_is_taken_over_after_three_searches():
    wire = Wire(Chip(A, 20.0))
    sensor = Sensor(wire)
    measure(sensor, wire)
    wire.chips = [Chip(B, 22.0)]
    for _ in range(3):
        with raises(SensorError):
            measure(sensor, wire)
    assert measure(sensor, wire) == 22.0
    assert sensor.rom == B


def test_a_fault_of_the_program_is_not_taken_for_one_of_the_sensor():
    wire = Wire(Chip(A))
    sensor = Sensor(wire)
    wire.convert_temp = None
    with raises(TypeError):
        sensor.start(wire.now_ms)


def test_a_command_that_is_long_in_coming_is_what_the_conversion_counts_from():
    wire = Wire(Chip(A, 20.0))
    sensor = Sensor(wire)
    convert = wire.convert_temp

    def late():
        time.sleep_ms(60)
        convert()

    wire.convert_temp = late
    sensor.start(wire.now_ms)
    wire.wait(CONVERSION_MS)
    assert not sensor.ready(wire.now_ms)
    wire.wait(1000)
    assert sensor.ready(wire.now_ms)


def test_a_conversion_that_began_before_the_sensor_was_looked_for_is_read_like_any_other():
    wire = Wire(Chip(A, 19.5), Chip(B, 30.0))
    sensor = Sensor(wire, wire.line)
    wire.convert_temp()
    sensor.take_over(wire.now_ms)
    wire.wait(CONVERSION_MS - 1)
    assert not sensor.ready(wire.now_ms)
    wire.wait(1)
    assert sensor.ready(wire.now_ms)
    assert sensor.read() == 19.5 and sensor.rom == A
    assert measure(sensor, wire) == 19.5
    assert wire.scans == 1


def test_of_such_a_conversion_nothing_is_believed_that_would_not_be_of_another():
    for fault, reason in (("gone", "no sensor"), ("held", "held low"), ("power", "85.0")):
        chip = Chip(A, 19.5)
        wire = Wire(chip)
        sensor = Sensor(wire, wire.line)
        wire.convert_temp()
        sensor.take_over(wire.now_ms)
        wire.wait(CONVERSION_MS)
        if fault == "gone":
            wire.chips.clear()
        elif fault == "held":
            wire.held_low = True
        else:
            chip.power_on()
        with raises(SensorError, reason):
            sensor.read()
        wire.chips[:] = [chip]
        wire.held_low = False
        assert measure(sensor, wire) == 19.5
