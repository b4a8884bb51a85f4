"""Firmware from a service, as a stream of bytes. A phase: loaded while a release is read."""

from keeper.services.streaming.firmware import RawRelease, ask_raw  # noqa: F401
