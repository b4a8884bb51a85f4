"""Short writes of many callers in one transaction: what waits for the writer's turn is done at once.

A database with one writer at a time spends more on taking turns, and on each commit, than on what is written. So one
thread takes all that waits by then, does each in a savepoint of its own, and commits once. Nobody's call returns before
its commit. Must not know what is written.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from sqlalchemy.orm import Session

from thermokeeper.server.refusals import ApiError, Busy

Result = TypeVar("Result")

_MOST = 64  # in a transaction: other writers wait for no more


@dataclass
class _Work:
    do: Callable[[Session], Any]
    future: Future[Any] = field(default_factory=Future)


class Writer(Protocol):
    def writing(self) -> AbstractContextManager[Session]:
        """A session that is committed behind it."""


class Together:
    """`patience_s`: how long a caller waits for its turn.

    A `do` that is given may be called again, if what was done beside it failed. It uses the session's connection only:
    of rows as objects a savepoint knows nothing.
    """

    def __init__(self, writer: Writer, patience_s: float) -> None:
        self._writer = writer
        self._patience_s = patience_s
        self._waiting: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def write(self, do: Callable[[Session], Result]) -> Result:
        """What `do(session)` returns, once it is committed. ApiError: its own, or `Busy`."""
        future = self._give(do)
        try:
            return future.result(self._patience_s)
        except TimeoutError:
            return _in_time(future).result()

    async def write_async(self, do: Callable[[Session], Result]) -> Result:
        """The same for a caller in the event loop."""
        future = self._give(do)
        await asyncio.wait([asyncio.wrap_future(future)], timeout=self._patience_s)
        return await asyncio.wrap_future(_in_time(future))

    def stop(self) -> None:
        """What waits is done before."""
        with self._starting:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._waiting.put(None)
            thread.join()

    def _give(self, do: Callable[[Session], Result]) -> Future[Result]:
        work = _Work(do)
        self._waiting.put(work)
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="writes", daemon=True)
                    self._thread.start()
        return work.future

    def _run(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch = [first]
            is_over = False
            while len(batch) < _MOST and not is_over and not self._waiting.empty():
                work = self._waiting.get()
                if work is None:
                    is_over = True
                else:
                    batch.append(work)
            self._do([work for work in batch if work.future.set_running_or_notify_cancel()])
            if is_over:
                return

    def _do(self, batch: list[_Work]) -> None:
        results: list[Any] = []
        try:
            with self._writer.writing() as session:
                for work in batch:
                    results.append(work.do(session) if len(batch) == 1 else _in_a_savepoint(work, session))
        except Exception as error:  # whatever it is, who wanted it is told: it is raised there
            if len(batch) == 1:
                batch[0].future.set_exception(error)
                return
            for work in batch:
                self._do([work])
            return
        for work, result in zip(batch, results, strict=True):
            if isinstance(result, _Refused):
                work.future.set_exception(result.error)
            else:
                work.future.set_result(result)


@dataclass
class _Refused:
    error: ApiError


def _in_a_savepoint(work: _Work, session: Session) -> Any:
    savepoint = session.connection().begin_nested()
    try:
        result = work.do(session)
    except ApiError as error:
        savepoint.rollback()
        return _Refused(error)
    savepoint.commit()
    return result


def _in_time(future: Future[Result]) -> Future[Result]:
    """What is being done, or is done. `Busy` if it has not begun, and won't be any more."""
    if not future.done() and future.cancel():
        raise Busy
    return future
