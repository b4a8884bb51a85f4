"""How often one may try: a token bucket for each name, in memory, for one process."""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

_MAX_BUCKETS = 20_000  # the least recently used go first; a bucket not seen for long is full again anyway


@dataclass(frozen=True)
class Rate:
    """`burst` tries at once, then one every `every_s` seconds; one that succeeds counts as `success_cost` of a try."""

    burst: float
    every_s: float
    success_cost: float = 0.1


class RateLimiter:
    """Buckets of one `Rate`. A try takes a whole token; `succeeded` gives back what success doesn't cost."""

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # name: tokens, when

    def take(self, name: str) -> int:
        """0 if the try may go on, otherwise after how many seconds (at least 1) the next one may."""
        with self._lock:
            tokens = self._level(name)
            # a little less than one is enough: the seconds that were promised have then passed, whatever the rounding
            allowed = tokens >= 1 - 1e-6
            self._store(name, tokens - 1 if allowed else tokens)
        return 0 if allowed else max(1, math.ceil((1 - tokens) * self._rate.every_s))

    def succeeded(self, name: str) -> None:
        with self._lock:
            self._store(name, self._level(name) + 1 - self._rate.success_cost)

    def _level(self, name: str) -> float:
        tokens, since = self._buckets.get(name, (self._rate.burst, self._clock()))
        return min(self._rate.burst, tokens + (self._clock() - since) / self._rate.every_s)

    def _store(self, name: str, tokens: float) -> None:
        self._buckets[name] = (min(self._rate.burst, tokens), self._clock())
        self._buckets.move_to_end(name)
        if len(self._buckets) > _MAX_BUCKETS:
            self._buckets.popitem(last=False)
