"""What many callers look for at once is looked for in one query.

When a server has started it knows none of its devices, and all of a fleet call within a minute: a thread and a query
for each would take longer than that. Must not know what is looked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import islice
from typing import Generic, TypeVar

from starlette.concurrency import run_in_threadpool

Found = TypeVar("Found")

_MOST = 100  # in a query


class Lookups(Generic[Found]):
    """Of one event loop. `find` is called in a thread with the names that are looked for, and gives what there is."""

    def __init__(self, find: Callable[[list[str]], dict[str, Found]]) -> None:
        self._find = find
        self._waiting: dict[str, asyncio.Future[Found | None]] = {}
        self._task: asyncio.Task[None] | None = None

    async def find(self, name: str) -> Found | None:
        """What there is of this name; raises what `find` did."""
        future = self._waiting.get(name)
        if future is None:
            loop = asyncio.get_running_loop()
            future = self._waiting[name] = loop.create_future()
            if self._task is None:
                self._task = loop.create_task(self._work())
        return await asyncio.shield(future)  # another may wait for it, too

    async def _work(self) -> None:
        try:
            while self._waiting:
                batch = dict(islice(self._waiting.items(), _MOST))
                for name in batch:
                    del self._waiting[name]
                await self._answer(batch)
        finally:
            self._task = None

    async def _answer(self, batch: dict[str, asyncio.Future[Found | None]]) -> None:
        try:
            found = await run_in_threadpool(self._find, list(batch))
        except Exception as error:  # whatever it is, who asked is told: it is raised there
            for future in batch.values():
                future.set_exception(error)
                future.exception()  # who asked may have gone
            return
        for name, future in batch.items():
            future.set_result(found.get(name))
