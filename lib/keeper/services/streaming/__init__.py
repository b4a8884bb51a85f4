"""Firmware from a service, as a stream of bytes. A phase: loaded while a release is read."""

from keeper.services.streaming.firmware import RawRelease, TextRelease, ask_raw, release_stream  # noqa: F401
