"""How long to wait before the next try: longer after each failure, never the same for two devices, never for ever.

Must not know what is tried.
"""

import random

_SERVER_LIMIT_MS = 3_600_000  # a Retry-After beyond this isn't believed


class Backoff:
    """Exponential backoff with jitter: the n-th wait lies between half and all of base_ms * 2**n, at most cap_ms."""

    def __init__(self, base_ms=2_000, cap_ms=900_000):
        self._base_ms = base_ms
        self._cap_ms = cap_ms
        self._next_ms = base_ms

    def next_ms(self, retry_after_ms=None):
        """The wait before the next try. retry_after_ms: what the server asked for, or None; then not less than that."""
        top_ms = min(self._next_ms, self._cap_ms)
        self._next_ms = min(self._next_ms * 2, self._cap_ms)
        half_ms = top_ms // 2
        wait_ms = half_ms + random.randrange(top_ms - half_ms + 1)
        if retry_after_ms:
            # The devices that one busy server sent away shall not all come back in the same moment.
            asked_ms = min(retry_after_ms, _SERVER_LIMIT_MS)
            wait_ms = max(wait_ms, asked_ms + random.randrange(half_ms + 1))
        return wait_ms

    def reset(self):
        """It worked: the next failure starts from the base again."""
        self._next_ms = self._base_ms
