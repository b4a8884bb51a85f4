"""The settings of this board, from its factory record. A phase: it ends with the start."""

from thermometer.settling.settings import settings_from  # noqa: F401
