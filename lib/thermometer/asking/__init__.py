"""The time is asked for, by NTP. A phase: loaded at the start and once a day."""

from thermometer.asking.ntp import sync  # noqa: F401
