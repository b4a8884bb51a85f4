"""How often one may try: a token bucket for each name, in the memory of a process that is alone (`shared_tries`: else).

There are so many buckets and no more: a name has the one that a hash with a random key gives it. So nobody can push a
spent bucket out with other names, and nobody outside knows which names share one.
"""

import ipaddress
import math
import threading
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol

from sqlalchemy.orm import Session

from thermokeeper.server.secrets import new_key

BUCKETS = 1 << 16

Name = tuple[str, ...]  # what is tried, then whose try it is: parts aren't composed, a stranger chooses some of them


@dataclass(frozen=True)
class Rate:
    """`burst` tries at once, then one every `every_s` seconds; one that succeeds counts as `success_cost` of a try."""

    burst: float
    every_s: float
    success_cost: float = 0.1

    def level(self, tokens: float, passed_s: float) -> float:
        """What is in a bucket, so long after `tokens` were."""
        return min(self.burst, tokens + max(0.0, passed_s) / self.every_s)

    def wait_s(self, tokens: float, cost: float) -> int:
        # a little less than one is enough: the seconds that were promised have then passed, whatever the rounding
        return 0 if tokens >= cost - 1e-6 else max(1, math.ceil((cost - tokens) * self.every_s))


class Limiter(Protocol):
    """Buckets of one `Rate`. A try takes a whole token; `succeeded` gives back what success doesn't cost."""

    def take(self, *name: str, cost: float = 1, session: Session | None = None) -> int:
        """0 if the try may go on, otherwise after how many seconds (at least 1) the next one may.

        cost: for how many it counts, at most the rate's burst. session: that the try is made in, if it is to count only
        when that is committed.
        """

    def succeeded(self, *name: str, session: Session | None = None) -> None: ...


class RateLimiter:
    """A `Limiter` for one process."""

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._lock = threading.Lock()
        self._key = new_key().encode()
        self._tokens = array("d", [rate.burst]) * BUCKETS
        self._since = array("d", [clock()]) * BUCKETS

    def take(self, *name: str, cost: float = 1, session: Session | None = None) -> int:
        place = place_of(self._key, name)
        with self._lock:
            tokens = self._level(place)
            wait_s = self._rate.wait_s(tokens, cost)
            self._store(place, tokens if wait_s else tokens - cost)
        return wait_s

    def succeeded(self, *name: str, session: Session | None = None) -> None:
        place = place_of(self._key, name)
        with self._lock:
            self._store(place, self._level(place) + 1 - self._rate.success_cost)

    def _level(self, place: int) -> float:
        return self._rate.level(self._tokens[place], self._clock() - self._since[place])

    def _store(self, place: int, tokens: float) -> None:
        self._tokens[place] = min(self._rate.burst, tokens)
        self._since[place] = self._clock()


def place_of(key: bytes, name: Name) -> int:
    """The bucket of a name, below `BUCKETS`."""
    digest = blake2b(key=key, digest_size=8)
    for part in name:
        encoded = part.encode(errors="surrogatepass")
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
    return int.from_bytes(digest.digest(), "big") % BUCKETS


def caller_of(address: str) -> str:
    """Whose address it is: of IPv6 a network of 64 bits is one caller, who has them all."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return str(ipaddress.IPv6Network((found, 64), strict=False))
    return str(found)
