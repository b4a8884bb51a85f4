"""The only place that makes hardware objects; everything else is given them, and so runs without a board.

Importing it touches nothing. It must not contain decisions of the product beyond which pin the sensor is on.
"""

import sys

from thermometer.station.hardware import Hardware

# GPIO of the sensor's data wire (4.7 kOhm to 3.3 V), by what MicroPython says of the board; the first that fits.
# None of them is a strapping pin or used by flash, PSRAM, USB or the console.
_PINS = (
    ("ESP32S3", 5),
    ("ESP32C3", 3),
    ("ESP32", 4),
)
_DEFAULT_PIN = 4

_CAUSES = (
    ("PWRON_RESET", "power-on"),
    ("HARD_RESET", "reset"),
    ("WDT_RESET", "watchdog"),
    ("DEEPSLEEP_RESET", "deep sleep"),
    ("SOFT_RESET", "soft reset"),
)


def build(pin=None):
    """The `Hardware` of this board; `pin` overrides the table."""
    import ds18x20
    import machine
    import network
    import onewire

    wire = onewire.OneWire(machine.Pin(sensor_pin() if pin is None else pin))
    return Hardware(machine, wire, ds18x20.DS18X20(wire), network.WLAN(network.STA_IF), _reset_cause(machine))


def sensor_pin():
    """The number of the GPIO that the sensor is on."""
    board = getattr(sys.implementation, "_machine", "")
    for name, number in _PINS:
        if name in board:
            return number
    return _DEFAULT_PIN


def _reset_cause(machine):
    """Why the board started: "power-on", "reset", "watchdog", "deep sleep", "soft reset" or "unknown"."""
    cause = machine.reset_cause()
    for name, text in _CAUSES:
        if getattr(machine, name, None) == cause:
            return text
    return "unknown"
