"""The station settles after a start. A phase."""

from thermometer.settling.beginning import settle  # noqa: F401
