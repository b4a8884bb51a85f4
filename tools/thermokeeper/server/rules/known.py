"""Devices that called lately: whose key it is and what the device should run, without asking the database.

An entry is good as long as its mark is (`storage.changes`): whoever changes a target, a block or a key changes the
mark. Only what a device may do is kept, never that it may not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from thermokeeper.server.storage.changes import Changes, Mark

_MAX_ENTRIES = 100_000  # some 50 MB; then it begins anew


@dataclass(frozen=True, slots=True)
class Known:
    """`target`: what the device should run, as JSON for it; None if nothing is set."""

    thing_id: str
    target: bytes | None


@dataclass(frozen=True, slots=True)
class KnownDms:
    """The same of the service that speaks MessagePack. `thing_id` is None until the device is activated."""

    uuid: str
    thing_id: str | None
    target: dict[str, Any] | None


What = TypeVar("What")


class KnownDevices(Generic[What]):
    """By the hash of the key; of each service's devices there is one."""

    def __init__(self, changes: Changes, max_entries: int = _MAX_ENTRIES) -> None:
        self._changes = changes
        self._max_entries = max_entries
        self._entries: dict[str, tuple[Mark, What]] = {}

    def mark(self, key_hash: str) -> Mark:
        """To be taken before what is kept with it is read."""
        return self._changes.mark(key_hash)

    def keep(self, key_hash: str, mark: Mark, known: What) -> None:
        if len(self._entries) >= self._max_entries:
            self._entries = {}
        self._entries[key_hash] = mark, known

    def look(self, key_hash: str) -> What | None:
        entry = self._entries.get(key_hash)
        if entry is None:
            return None
        mark, known = entry
        return known if mark == self._changes.mark(key_hash) else None
