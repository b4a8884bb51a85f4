"""The board's hardware is found. A phase: loaded for a moment at the start."""

from thermometer.wiring.pins import build, wake  # noqa: F401
