"""What a release must satisfy before this board installs it: signature, product, chip, size, security version, expiry.

Everything is decided on the 4 KiB header. The security version never goes down and a revoked key stays revoked: NVS
remembers both, in the record `policy`, from the moment a release that brings them has proved itself. It knows no slot
and no network; the clock is given to it.
"""

import gc

from keeper import release
from keeper.errors import ReleaseError

_KEY_ID_SIZE = 16
_REVOKED_LIMIT = 16  # the oldest make room: a key that old is in no release's trust any more


class Policy:
    """product: as in the factory record. keys: {key id: modulus}, revoked: key ids; both came with the running release.
    now: callable, UTC as "2026-11-21T20:13:18Z", or None while the time isn't known for certain.
    """

    def __init__(self, product, keys, revoked, store, now):
        self._product = product
        self._keys = keys
        self._store = store
        self._now = now
        found = store.load("policy")
        found = found if isinstance(found, dict) else {}
        self._security = _number(found.get("security"))
        self._revoked = _words(found.get("revoked"))
        self._brought = list(revoked)

    def proved(self, running):
        """The running release (its Manifest) is here to stay: from now on nothing older in security is accepted."""
        self._security = max(self._security, running.security)
        for name in self._brought:
            if name not in self._revoked:
                self._revoked.append(name)
        self._revoked = self._revoked[-_REVOKED_LIMIT:]
        self._store.save("policy", {"security": self._security, "revoked": self._revoked})

    def admit(self, header, chip, slot_size):
        """The Manifest of an acceptable release; ReleaseError with the reason for any other 4096 bytes."""
        gc.collect()  # the signature's big numbers want room
        keys = {name: self._keys[name] for name in self._keys if name not in self._revoked + self._brought}
        manifest = release.verify(header, keys)
        release.check(manifest, self._product, chip, slot_size, self._security)
        if manifest.expires:
            now = self._now()
            if now is None:
                raise ReleaseError("the release may have expired, and this board doesn't know the time yet")
            if now > manifest.expires:
                raise ReleaseError("the release has expired (%s)" % manifest.expires)
        return manifest


def _number(value):
    return value if type(value) is int and 0 <= value <= release.MAX_SECURITY else 0


def _words(value):
    if not isinstance(value, list):
        return []
    return [word for word in value if isinstance(word, str) and len(word) <= _KEY_ID_SIZE]
