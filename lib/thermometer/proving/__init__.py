"""What a release on trial has to show. A phase: loaded while there is a trial."""

from thermometer.proving.health import Health  # noqa: F401
from thermometer.proving.noting import look  # noqa: F401
