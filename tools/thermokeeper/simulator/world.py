"""The world around a simulated board: temperature, Wi-Fi, time server, flash timing, and when the power goes.

Plain JSON, changed at any time; the board sees a change at its next look. Knows nothing of how a board is run.
"""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

from thermokeeper.errors import ToolError

MOMENTS = ("before", "middle", "after")
FAULTS = (None, "missing", "short", "crc", "power_on", "silent")

DEFAULTS: dict[str, Any] = {
    "sensor": {"temperature_c": 21.5, "fault": None},
    "networks": [{"ssid": "workshop", "key": "thermometer", "rssi": -55, "channel": 6}],
    "join_ms": 50,
    "scan_ms": 20,
    "ntp": "ok",
    "idf": 5,
    "flash": {"erase_ms": 0, "program_ms": 0},
    "cuts": [],
    "measure_heap": False,
    "unique_id": "240ac4000001",
}

EXAMPLE = """\
// The world around a simulated board. Lines that begin with // are comments; what is left out has a default.
// While `thermokeeper sim run` runs, saving this file changes the board's world at once.
{
  // The DS18B20. wave_c lets the temperature swing by so much in a minute.
  // fault: null, "missing" (nobody answers), "short" (all zeros), "crc" (bits flipped), "silent" (all ones),
  // "power_on" (the part lost power: 85.0); fault_every: n lets only each n-th reading go wrong.
  "sensor": {"temperature_c": 21.5, "wave_c": 1.5, "fault": null, "fault_every": 1},

  // Access points. key null: an open network. up false: switched off. no_address true: joins, but gets no address.
  // dead true: doesn't answer who joins. bssid: of one of several with the same name, 12 hex digits.
  "networks": [
    {"ssid": "workshop", "key": "thermometer", "rssi": -55, "channel": 6, "up": true},
    {"ssid": "cafe", "key": null, "rssi": -80, "channel": 1, "up": true}
  ],
  // Time from `connect` to an address, and the time that a scan takes.
  "join_ms": 50,
  "scan_ms": 20,

  // Time server: "ok", "off", "unsynchronized", "refuses", "stratum 16", "past", or the only host that answers.
  "ntp": "ok",

  // The ESP-IDF of the firmware, 5 or 6: they select a slot that is selected already in different ways.
  "idf": 5,

  // Time of flash operations; a real chip takes 45 ms to erase a block and about 12 to program one.
  "flash": {"erase_ms": 0, "program_ms": 0},

  // Power cuts: number of the flash operation (from 0, over all boots), before it, in the middle of it or after it.
  // In the middle: `seed` chooses what of it got into flash. Example: {"operation": 12, "moment": "middle", "seed": 1}
  // "brownout": true is one that leaves RTC memory and the clock as they are.
  "cuts": [],

  // Collect garbage at each flash operation and note the most heap that was in use (slow).
  "measure_heap": false,

  "unique_id": "240ac4000001"
}
"""


class World:
    """Settings as in `EXAMPLE`; keyword arguments replace the defaults.

    >>> world = World(sensor={"temperature_c": -3.0})
    >>> world.wifi(False)
    """

    def __init__(self, **settings: Any) -> None:
        self._settings = deepcopy(DEFAULTS)
        self._listeners: list[Callable[[], None]] = []
        self._lock = threading.RLock()
        self.update(**settings)

    @classmethod
    def load(cls, path: Path) -> World:
        """A world from a file; ToolError says what is wrong with it."""
        return cls(**read_file(path))

    @property
    def line(self) -> dict[str, Any]:
        """What a board in virtual time may know of its connection: `pauses` says it."""
        found: dict[str, Any] = self._settings.get("line", {"quiet": None, "due_ms": None})
        return found

    @line.setter
    def line(self, line: dict[str, Any]) -> None:
        with self._lock:
            self._change({**self._settings, "line": line})

    @property
    def settings(self) -> dict[str, Any]:
        """The settings; to change them, use the methods."""
        return self._settings

    def update(self, **settings: Any) -> None:
        """Replace some settings; a dict is merged into the one there is."""
        with self._lock:
            merged = dict(self._settings)
            for name, value in settings.items():
                if name not in DEFAULTS:
                    raise ToolError(f"the world has no `{name}`; it has {', '.join(DEFAULTS)}")
                if isinstance(value, dict) and isinstance(merged[name], dict):
                    value = {**merged[name], **value}
                merged[name] = deepcopy(value)
            _check(merged)
            self._change(merged)

    def _change(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        for listener in self._listeners:
            listener()

    def sensor(self, **settings: Any) -> None:
        """Change the sensor: temperature_c, wave_c, fault, fault_every."""
        self.update(sensor=settings)

    def wifi(self, up: bool, ssid: str | None = None) -> None:
        """Switch access points on or off: one, or all."""
        networks = [{**n, "up": up} if ssid in (None, n["ssid"]) else n for n in self._settings["networks"]]
        self.update(networks=networks)

    def cut(self, operation: int, moment: str = "before", seed: int = 0) -> None:
        """Plan one more power cut."""
        self.update(cuts=[*self._settings["cuts"], {"operation": operation, "moment": moment, "seed": seed}])

    def brownout(self, operation: int, moment: str = "before", seed: int = 0) -> None:
        """The same where the voltage drops only so far that RTC memory stays."""
        cut = {"operation": operation, "moment": moment, "seed": seed, "brownout": True}
        self.update(cuts=[*self._settings["cuts"], cut])

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each change."""
        self._listeners.append(listener)

    def forget(self, listener: Callable[[], None]) -> None:
        """Undo `on_change`."""
        self._listeners.remove(listener)

    def encode(self, number: int) -> bytes:
        """The form in which a board in another process reads it: version, checksum, JSON."""
        text = json.dumps(self._settings).encode()
        return b"%09d %08x\n " % (number % 10**9, zlib.crc32(text)) + text


def read_file(path: Path) -> dict[str, Any]:
    """Settings of a world file."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ToolError(f"{path}: can't be read: {error.strerror}") from None
    lines = ["" if line.lstrip().startswith("//") else line for line in text.splitlines()]
    try:
        settings = json.loads("\n".join(lines))
    except ValueError as error:
        raise ToolError(f"{path}: not JSON: {error}") from None
    if not isinstance(settings, dict):
        raise ToolError(f"{path}: should be one JSON object; `thermokeeper sim world` prints an example")
    return settings


def _check(settings: dict[str, Any]) -> None:
    for name, default in DEFAULTS.items():
        if not isinstance(settings[name], type(default)):
            raise ToolError(f"the world's `{name}` should be like {json.dumps(default)}")
    if settings["sensor"].get("fault") not in FAULTS:
        raise ToolError(f"the world's sensor has no fault `{settings['sensor']['fault']}`; it has {FAULTS[1:]}")
    for network in settings["networks"]:
        if not isinstance(network, dict) or not isinstance(network.get("ssid"), str):
            raise ToolError('each of the world\'s networks should be like {"ssid": "name", "key": "secret"}')
    for cut in settings["cuts"]:
        if (
            not isinstance(cut, dict)
            or not isinstance(cut.get("operation"), int)
            or cut.get("moment", "before") not in MOMENTS
        ):
            raise ToolError('each of the world\'s cuts should be like {"operation": 12, "moment": "middle", "seed": 1}')
