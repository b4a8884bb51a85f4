"""Proof that a device has the secret it was made with: nonces, given out and taken once, and the answer to one.

Nonces are in memory, for one process, like the rate limits: after a restart a device asks for another.
"""

import hashlib
import hmac
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from keeper.services.gadgetkeeper.joining import proof
from thermokeeper.server.secrets import new_key

NONCE_LIFE_S = 60
_MAX_NONCES = 20_000  # the oldest go first; the limits on tries keep one address from filling this


class Nonces:
    """Each is for one serial number, for a minute, and for one try."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._given: OrderedDict[str, tuple[str, float]] = OrderedDict()  # nonce: serial number, when

    def give(self, number: str) -> str:
        """A new one, 32 hex digits."""
        nonce = new_key()
        with self._lock:
            self._given[nonce] = number, self._clock()
            if len(self._given) > _MAX_NONCES:
                self._given.popitem(last=False)
        return nonce

    def take(self, nonce: str, number: str) -> bool:
        """Whether it was given for this serial number and is still good; from now on it isn't."""
        with self._lock:
            of, given_at = self._given.pop(nonce, ("", 0.0))
        return of == number and self._clock() - given_at <= NONCE_LIFE_S


def is_right(answer: str, key: str, number: str, nonce: str) -> bool:
    """Whether `answer` could only be given by who has the serial number's key; takes the same time whatever differs."""
    expected: str = proof.answer(bytes.fromhex(key), number, nonce)
    return hmac.compare_digest(answer.encode(), expected.encode())


def key_id(key: str) -> str:
    """Shows that two keys are the same, without saying them: they have 256 random bits."""
    return hashlib.sha256(bytes.fromhex(key)).hexdigest()[:32]
