"""Firmware as base64 text in JSON. A phase: loaded only for a service that has it no other way."""

from keeper.services.text.base64stream import Base64Stream  # noqa: F401
