"""Proof that a device has the secret it was made with: nonces, given out and taken once, and the answer to one.

A nonce is not kept anywhere: it says itself when it was given and for which serial number, signed with a key that all
servers of a database share. That it was taken is kept with the serial number, whose next one has to be a later one.
"""

import hmac
import secrets
import time
from collections.abc import Callable
from typing import Any, cast

from sqlalchemy import CursorResult, or_, update

from keeper.services.gadgetkeeper.joining import proof
from thermokeeper.server.storage.database import Database
from thermokeeper.server.storage.models import Serial

NONCE_LIFE_S = 60
_CLOCKS_APART_S = 5  # another server's may be so much ahead
_TIME_BYTES, _RANDOM_BYTES, _CODE_BYTES = 6, 4, 6


class Nonces:
    """Each is for one serial number, for a minute, and for one try. `key`: the servers'."""

    def __init__(self, database: Database, key: bytes, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._key = key
        self._clock = clock

    def give(self, number: str) -> str:
        """A new one, 32 hex digits: when it was given in ms, what makes it another one, and the signature."""
        said = int(self._clock() * 1000).to_bytes(_TIME_BYTES, "big") + secrets.token_bytes(_RANDOM_BYTES)
        return (said + self._code(said, number)).hex()

    def take(self, nonce: str, number: str) -> bool:
        """Whether it was given for this serial number and is still good; from now on it isn't, nor any earlier one."""
        try:
            data = bytes.fromhex(nonce)
        except ValueError:
            return False
        said, code = data[:-_CODE_BYTES], data[-_CODE_BYTES:]
        if len(said) != _TIME_BYTES + _RANDOM_BYTES or not hmac.compare_digest(code, self._code(said, number)):
            return False
        given_ms = int.from_bytes(said[:_TIME_BYTES], "big")
        if not -_CLOCKS_APART_S <= self._clock() - given_ms / 1000 <= NONCE_LIFE_S:
            return False
        with self._database.writing() as session:
            fresh = or_(Serial.proved_ms.is_(None), Serial.proved_ms < given_ms)
            row = update(Serial.__table__).where(Serial.number == number, fresh).values(proved_ms=given_ms)  # type: ignore[arg-type]
            return cast(CursorResult[Any], session.connection().execute(row)).rowcount == 1

    def _code(self, said: bytes, number: str) -> bytes:
        encoded = number.encode(errors="surrogatepass")
        return hmac.digest(self._key, said + encoded, "sha256")[:_CODE_BYTES]


def is_right(answer: str, key: str, number: str, nonce: str) -> bool:
    """Whether `answer` could only be given by who has the serial number's key; takes the same time whatever differs."""
    expected: str = proof.answer(bytes.fromhex(key), number, nonce)
    return hmac.compare_digest(answer.encode(), expected.encode())
