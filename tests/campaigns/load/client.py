"""The load: calls over many connections, closed loop (each answer sends the next call) or open (by the clock).

A generator in Python has to be cheaper than what it measures: requests are bytes made beforehand, and of an answer
only its status and its end are looked for. It runs in a process of its own, which prints its findings as JSON:

    python -m load.client PLAN.json

Latencies of an open loop count from when the call was due, whether there was a connection for it or not.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Plan:
    """`requests`: whole HTTP requests, of which each call is one at random; `rate`: calls in a second, None: closed.

    `each_once`: each request once instead, however long it takes.
    """

    port: int
    requests: Sequence[str]
    seconds: float
    connections: int
    keep_alive: bool = True
    rate: float | None = None
    each_once: bool = False


@dataclass
class Findings:
    """`statuses`: how many answers of each; 0: none within the time, or the connection was lost."""

    seconds: float
    statuses: dict[int, int] = field(default_factory=dict)
    p50_ms: float = 0
    p99_ms: float = 0
    max_ms: float = 0

    @property
    def good(self) -> int:
        return sum(count for status, count in self.statuses.items() if 200 <= status < 300)

    @property
    def bad(self) -> int:
        return sum(self.statuses.values()) - self.good

    @property
    def rate(self) -> float:
        return self.good / self.seconds


class _Answer(asyncio.Protocol):
    """One connection, one call at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._data = b""
        self._done: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self._finish(0)

    def ask(self, request: bytes) -> asyncio.Future[int]:
        self._data = b""
        self._done = asyncio.get_running_loop().create_future()
        if self.transport is None:
            self._finish(0)
        else:
            self.transport.write(request)
        return self._done

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, found, body = self._data.partition(b"\r\n\r\n")
        if not found:
            return
        length = 0
        for line in head.split(b"\r\n")[1:]:
            if line[:15].lower() == b"content-length:":
                length = int(line[15:])
        if len(body) >= length:
            self._finish(int(head[9:12]))

    def _finish(self, status: int) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(status)


class Load:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._requests = [request.encode() for request in plan.requests]
        self._random = random.Random(1)
        self._rest = iter(self._requests)
        self._statuses: Counter[int] = Counter()
        self._took_s: list[float] = []

    async def run(self) -> Findings:
        plan = self._plan
        began_s = time.monotonic()
        if plan.rate is None:
            until_s = began_s + plan.seconds
            await asyncio.gather(*(self._closed(until_s) for _ in range(plan.connections)))
        else:
            await self._open(began_s, plan.rate)
        seconds = time.monotonic() - began_s
        return self._findings(seconds)

    async def _closed(self, until_s: float) -> None:
        connection: _Answer | None = None
        while (began_s := time.monotonic()) < until_s or self._plan.each_once:
            request = next(self._rest, None) if self._plan.each_once else self._random.choice(self._requests)
            if request is None:
                break
            connection = await self._call(connection, began_s, request)
        if connection is not None and connection.transport is not None:
            connection.transport.close()

    async def _open(self, began_s: float, rate: float) -> None:
        """A connection is taken from those that are free, or made: as many as it takes."""
        free: list[_Answer] = []
        calls: set[asyncio.Task[None]] = set()

        async def call(due_s: float) -> None:
            request = self._random.choice(self._requests)
            connection = await self._call(free.pop() if free else None, due_s, request)
            if connection is not None:
                free.append(connection)

        for number in range(int(self._plan.seconds * rate)):
            due_s = began_s + number / rate
            if (wait_s := due_s - time.monotonic()) > 0:
                await asyncio.sleep(wait_s)
            task = asyncio.create_task(call(due_s))
            calls.add(task)
            task.add_done_callback(calls.discard)
        await asyncio.gather(*calls)
        for connection in free:
            if connection.transport is not None:
                connection.transport.close()

    async def _call(self, connection: _Answer | None, since_s: float, request: bytes) -> _Answer | None:
        """One call; the connection for the next one, if it holds."""
        status = 0
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                if connection is None or connection.transport is None:
                    loop = asyncio.get_running_loop()
                    _, connection = await loop.create_connection(_Answer, "127.0.0.1", self._plan.port)
                status = await connection.ask(request)
        except (OSError, TimeoutError):
            connection = None
        self._statuses[status] += 1
        self._took_s.append(time.monotonic() - since_s)
        if connection is not None and (not self._plan.keep_alive or not status):
            if connection.transport is not None:
                connection.transport.close()
            return None
        return connection

    def _findings(self, seconds: float) -> Findings:
        took = sorted(self._took_s) or [0.0]

        def at(part: float) -> float:
            return 1000 * took[min(len(took) - 1, int(part * len(took)))]

        return Findings(seconds, dict(self._statuses), at(0.5), at(0.99), at(1))


async def run(plan: Plan) -> Findings:
    return await Load(plan).run()


def in_a_process(plan: Plan, folder: Path) -> Findings:
    """The load from a process of its own."""
    import subprocess

    file = folder / "plan.json"
    file.write_text(json.dumps(asdict(plan)))
    done = subprocess.run(
        [sys.executable, "-m", "load.client", str(file)],
        env={"PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    found["statuses"] = {int(status): count for status, count in found["statuses"].items()}
    return Findings(**found)


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(run(Plan(**json.loads(Path(sys.argv[1]).read_text())))))))
