"""Every few minutes the station looks at itself: memory, address, server. A phase."""

from thermometer.watching.looks import look  # noqa: F401
