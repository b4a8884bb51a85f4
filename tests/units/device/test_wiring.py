"""The board's hardware: what is begun before the application is loaded, and what is made then."""

import sys

import network
import onewire

from support_flash import board
from thermometer import wiring
from thermometer.station import hardware
from thermometer.wiring import pins


class _Waking:
    """In the place of keeper.waking, which parts a chip's memory."""

    def __init__(self):
        self.radio = []

    def part_memory(self):
        self.radio.append(network.WLAN(network.STA_IF).active())


class _Awake:
    """`with _Awake(sim, **sensor):` wake was called on this board; what it made is forgotten afterwards."""

    def __init__(self, sim, **sensor):
        sim.settings["sensor"] = sensor
        onewire._sensor.power_cycle()

    def __enter__(self):
        waking = sys.modules["keeper.waking"] = _Waking()
        wiring.wake()
        assert waking.radio == [True], "the radio has its memory before the rest is parted"

    def __exit__(self, *error):
        pins._begun = None


def test_waking_begins_a_conversion_and_gives_the_radio_its_memory():
    with board() as sim:
        with _Awake(sim, temperature_c=17.5):
            made = hardware.build()
            assert made.begun_ms is not None
            sim.skipped_ms += 750
            assert made.bus.read_temp(made.bus.scan()[0]) == 17.5


def test_without_a_sensor_nothing_has_begun_and_the_rest_is_as_ever():
    with board() as sim:
        with _Awake(sim, fault="missing"):
            made = hardware.build()
            assert made.begun_ms is None and made.bus is not None


def test_another_pin_has_another_bus_on_which_nothing_has_begun():
    with board() as sim:
        with _Awake(sim):
            made = hardware.build(5)
            assert made.begun_ms is None and made.bus.ow.pin is not hardware.build().bus.ow.pin


def test_a_board_that_was_not_woken_is_built_all_the_same():
    with board():
        assert hardware.build().begun_ms is None
