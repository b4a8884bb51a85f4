"""What waits for a moment of a board's time, and which of its connections is quiet until then. For virtual time only.

Who answers a board slowly, or not at all, says so here: the board then lets its time pass at once, and stands still
again when the moment has come. It is told in the world, as `line`; of sockets this module knows nothing.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable

from thermokeeper.simulator.world import World


class Pauses:
    """The pauses of one board. `now_ms`: its time; `connection`: number of the socket that it opened last."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._due: list[tuple[int, int, int, Callable[[], None]]] = []  # when, number, of which connection, what
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._quiet: int | None = None
        self.now_ms = 0
        self.connection = 0

    def keep_quiet(
        self, over_ms: int | None = None, then: Callable[[], None] | None = None, connection: int | None = None
    ) -> None:
        """Nothing comes on a connection any more, or for so long; `then` is called in the board's thread.

        connection: its number, as it was when the request came; None: the last. The board may have left it meanwhile,
        and what it opened since isn't quiet.
        """
        with self._lock:
            of = self.connection if connection is None else connection
            if of == self.connection:
                self._quiet = of
            if over_ms is not None:
                due = (self.now_ms + over_ms, next(self._numbers), of, then or (lambda: None))
                heapq.heappush(self._due, due)
            self._tell()

    def follow(self, now_ms: int, connection: int) -> None:
        """The board stands still at this moment: what is due is done, and its connections aren't quiet any more."""
        with self._lock:
            self.now_ms = now_ms
            if connection != self.connection:
                self.connection, self._quiet = connection, None
            done = []
            while self._due and self._due[0][0] <= now_ms:
                _, _, of, call = heapq.heappop(self._due)
                done.append(call)
                if of == self._quiet:
                    self._quiet = None
            self._tell()
        for call in done:
            call()

    def _tell(self) -> None:
        if self._world.line != self.line:
            self._world.line = self.line

    @property
    def line(self) -> dict[str, int | None]:
        """For the world."""
        return {"quiet": self._quiet, "due_ms": self._due[0][0] if self._due else None}
