"""Readings are carried over a restart that the board makes by itself. A phase: before it, and after it."""

from thermometer.carrying.readings import keep, take_back  # noqa: F401
