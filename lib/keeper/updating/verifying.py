"""A release's header held against what this board accepts: a phase inside the update, which leaves plain values.

The signature's code and its big numbers are in memory only here, before the download begins.
"""

from keeper.board.layout import Layout
from keeper.errors import ReleaseError
from keeper.phases import forget


class Admission:
    """product: callable, whose releases are accepted. store: `state.Store`. now: as `policy.Policy` has it."""

    def __init__(self, product, store, now):
        self._product = product
        self._store = store
        self._now = now

    def admit(self, header, chip, slot_size):
        """The Layout of an acceptable release; ReleaseError with the reason for any other 4096 bytes."""
        from keeper import release

        try:
            keys, revoked, _ = release.brought()
            policy = release.Policy(self._product, keys, revoked, self._store, self._now)
            plain = policy.admit(header, chip, slot_size).plain()
        finally:
            forget("keeper.release", "trust")
        return Layout(*plain)


def layout_in_header(header):
    """The Layout of a header that lies in a slot, or None; its signature was checked when it was installed."""
    from keeper import release

    try:
        return Layout(*release.parse(header).plain())
    except ReleaseError:
        return None
    finally:
        forget("keeper.release")
