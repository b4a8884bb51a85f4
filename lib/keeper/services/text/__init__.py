"""Firmware as base64 text in JSON. A phase: loaded only for a service that has it no other way."""

from keeper.services.text.release import TextRelease  # noqa: F401
