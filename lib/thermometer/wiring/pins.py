"""The only place that makes hardware objects; everything else is given them, and so runs without a board.

Importing it touches nothing. It must not contain decisions of the product beyond which pin the sensor is on.
"""

import sys
import time

# GPIO of the sensor's data wire (4.7 kOhm to 3.3 V), by what MicroPython says of the board; the first that fits.
# None of them is a strapping pin or used by flash, PSRAM, USB or the console.
_PINS = (
    ("ESP32S3", 5),
    ("ESP32S2", 5),
    ("ESP32C2", 3),
    ("ESP32C3", 3),
    ("ESP32C6", 3),  # GPIO 4 is MTMS there, a strapping pin
    ("ESP32", 4),
)
_DEFAULT_PIN = 4  # `release build` warns of chips that aren't named here

_CAUSES = (
    ("PWRON_RESET", "power-on"),
    ("HARD_RESET", "reset"),
    ("WDT_RESET", "watchdog"),
    ("DEEPSLEEP_RESET", "deep sleep"),
    ("SOFT_RESET", "soft reset"),
)


_begun = None  # wire, bus, tick: what `begin` made for `build`


def begin():
    """Begin a conversion of whatever sensor is on the board's usual pin; `build` says when that was."""
    global _begun
    onewire, _ = _drivers()
    wire, bus = _bus(sensor_pin())
    try:
        bus.convert_temp()
    except (OSError, onewire.OneWireError):  # why shows when the sensor is asked for the first time
        return
    _begun = wire, bus, time.ticks_ms()


def build(pin=None):
    """What `Hardware` of this board takes; `pin` overrides the table."""
    import machine
    import network

    if _begun and pin is None:
        wire, bus, begun_ms = _begun
    else:
        wire, bus = _bus(sensor_pin() if pin is None else pin)
        begun_ms = None
    return machine, wire, bus, network.WLAN(network.STA_IF), _reset_cause(machine), begun_ms


def _bus(pin):
    import machine

    onewire, ds18x20 = _drivers()
    wire = onewire.OneWire(machine.Pin(pin))
    return wire, ds18x20.DS18X20(wire)


def _drivers():
    """The firmware's own modules, frozen into it: to look in the folders of the path first takes 0.1 s for each."""
    path = sys.path[:]
    sys.path[:] = [".frozen"]
    try:
        import ds18x20
        import onewire
    except ImportError:  # another port
        sys.path[:] = path
        import ds18x20
        import onewire
    finally:
        sys.path[:] = path
    return onewire, ds18x20


def sensor_pin():
    """The number of the GPIO that the sensor is on."""
    board = getattr(sys.implementation, "_machine", "").replace("-", "")
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
