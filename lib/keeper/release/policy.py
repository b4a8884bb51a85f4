"""What a release must satisfy before this board installs it: signature, product, chip, size, security version, expiry.

Everything is decided on the 4 KiB header. A product's security version never goes down and a revoked key stays
revoked: NVS remembers both, in the record `policy`, from the moment a release that brings them has proved itself. A
board that is moved to another product keeps what it knows of the former one: the way back leads to nothing older. It
knows no slot and no network; the clock is given to it.
"""

import gc

from keeper.errors import NetError, ReleaseError
from keeper.release import header as release
from keeper.talking.address import is_plain

_KEY_ID_SIZE = 16
_REVOKED_LIMIT = 16  # the oldest make room: a key that old is in no release's trust any more
_PRODUCT_LIMIT = 8  # the one that gives way leaves its security version to all that aren't named


class Policy:
    """product: callable, the product whose releases are accepted at that moment. keys: {key id: modulus}, revoked: key
    ids; both came with the running release. now: callable, UTC as "2026-11-21T20:13:18Z", or None while the time isn't
    known for certain.
    """

    def __init__(self, product, keys, revoked, store, now):
        self._product = product
        self._keys = keys
        self._store = store
        self._now = now
        found = store.load("policy")
        found = found if isinstance(found, dict) else {}
        self._floors = _floors(found.get("floors"))
        self._unnamed = self._floors is None  # the record of a release that knew one product only: whoever runs
        if self._unnamed:
            self._floors = {}
        self._rest = _number(found.get("security" if self._unnamed else "rest"))
        self._revoked = _words(found.get("revoked"))
        self._brought = list(revoked)

    def proved(self, running):
        """The running release (its Manifest) is here to stay: of its product nothing older in security is accepted."""
        security = max(self._floor(running.product), running.security)
        if self._unnamed:
            self._rest = 0
            self._unnamed = False
        self._floors[running.product] = security
        while len(self._floors) > _PRODUCT_LIMIT:
            lowest, name = min([(self._floors[name], name) for name in self._floors if name != running.product])
            self._rest = max(self._rest, lowest)
            del self._floors[name]
        for name in self._brought:
            if name not in self._revoked:
                self._revoked.append(name)
        self._revoked = self._revoked[-_REVOKED_LIMIT:]
        # `security` is what a release that knows one product only goes by, should the vendor go back to it.
        floors = sorted([[name, self._floors[name]] for name in self._floors])  # the same text at each start
        record = {"security": security, "floors": floors, "rest": self._rest, "revoked": self._revoked}
        self._store.save("policy", record)

    def keys(self):
        """{key id: modulus} of the keys that may sign the next release."""
        revoked = self._revoked + self._brought
        found = {name: self._keys[name] for name in self._keys if name not in revoked}
        return {name: found[name] for name in found if len(found[name]) == release.SIGNATURE_SIZE}

    def admit(self, header, chip, slot_size):
        """The Manifest of an acceptable release; ReleaseError with the reason for any other 4096 bytes."""
        gc.collect()  # the signature's big numbers want room
        manifest = release.verify(header, self.keys())
        product = self._product()
        release.check(manifest, product, chip, slot_size, self._floor(product))
        if manifest.expires:
            now = self._now()
            if now is None:
                raise NetError("the release may have expired, and this board doesn't know the time yet")
            if now > manifest.expires:
                raise ReleaseError("the release has expired (%s)" % manifest.expires)
        return manifest

    def _floor(self, product):
        return self._floors.get(product, self._rest)


def _number(value):
    return value if type(value) is int and 0 <= value <= release.MAX_SECURITY else 0


def _floors(value):
    """{product: security} of the record's pairs, or None if it is nothing that was written here."""
    if not isinstance(value, list) or len(value) > _PRODUCT_LIMIT:
        return None
    found = {}
    for pair in value:
        if not isinstance(pair, list) or len(pair) != 2:
            return None
        if not isinstance(pair[0], str) or len(pair[0]) > release.MAX_TEXT or not is_plain(pair[0]):
            return None
        found[pair[0]] = _number(pair[1])
    return found


def _words(value):
    if not isinstance(value, list):
        return []
    return [word for word in value if isinstance(word, str) and len(word) <= _KEY_ID_SIZE]
