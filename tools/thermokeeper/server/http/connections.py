"""Limits on connections: how many, how long a head and a body may take, and how long an answer may lie unread.

uvicorn's protocol has no such limits: a connection that says nothing stays for ever, and where there are no descriptors
left nobody is served. Here the one that has been idle for longest makes room for a new one. This module knows bytes
and moments; who calls, and what, is the application's.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from thermokeeper.server.http.errors import answer, answer_of
from thermokeeper.server.refusals import Busy
from thermokeeper.server.secrets import new_id

_LOOK_EVERY_S = 1.0
_RESERVED_FILES = 256  # for the database, the log, and what was accepted before it is counted
BACKLOG = 128  # so many are accepted at once


@dataclass(frozen=True)
class ConnectionLimits:
    connections: int = 8192
    head_bytes: int = 16 * 1024
    head_s: float = 15  # from the first byte (or the connection) to the end of the head
    body_s: float = 30  # from the head on, and a second more for each `body_rate` bytes that came
    body_rate: int = 4096
    unread_s: float = 60  # in which nothing of an answer was taken


def room_for(wanted: int) -> int:
    """How many connections there are descriptors for, at most `wanted`; each may have a file open.

    The process's own limit is raised as far as it may raise it.
    """
    try:
        import resource
    except ImportError:  # not on Windows
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = 2 * wanted + _RESERVED_FILES
    if soft != resource.RLIM_INFINITY and soft < need:
        soft = need if hard == resource.RLIM_INFINITY else min(need, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else min(wanted, max(16, (soft - _RESERVED_FILES) // 2))


class Gate:
    """What the connections of one server share; uvicorn calls it for each as it would call a protocol class."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self.idle: dict[Connection, None] = {}  # between two calls, longest first
        self.watched: set[Connection] = set()
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self, **given: Any) -> "Connection":
        return Connection(self, **given)

    def watch(self, connection: "Connection") -> None:
        self.watched.add(connection)
        if self._timer is None:
            self._timer = connection.loop.call_later(_LOOK_EVERY_S, self._look, connection.loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now_s = loop.time()
        for connection in list(self.watched):
            connection.look(now_s)
        self._timer = loop.call_later(_LOOK_EVERY_S, self._look, loop) if self.watched else None


class Connection(HttpToolsProtocol):
    """One caller's."""

    def __init__(self, gate: Gate, **given: Any) -> None:
        super().__init__(**given)
        self._gate = gate
        self._head_bytes = 0
        self._body_bytes = 0
        self._head_until_s: float | None = None  # None: no head is awaited
        self._body_since_s: float | None = None
        self._unread_since_s: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        gate = self._gate
        if len(self.connections) > gate.limits.connections:
            if not gate.idle:
                self._refuse(answer_of("", Busy()))
                return
            next(iter(gate.idle)).transport.abort()
        gate.watch(self)
        gate.idle[self] = None
        self._head_until_s = self.loop.time() + gate.limits.head_s

    def connection_lost(self, exc: Exception | None) -> None:
        self._gate.idle.pop(self, None)
        self._gate.watched.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._body_since_s is None:
            if self._head_until_s is None:
                self._head_until_s = self.loop.time() + self._gate.limits.head_s
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes > self._gate.limits.head_bytes and self._head_until_s is not None:
            self._refuse(answer("", 431, "too_large", f"a head has at most {self._gate.limits.head_bytes} bytes"))

    def on_headers_complete(self) -> None:
        self._gate.idle.pop(self, None)
        self._head_until_s = None
        self._head_bytes = self._body_bytes = 0
        self._body_since_s = self.loop.time()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._body_since_s = None
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.pipeline and self in self._gate.watched:
            self._gate.idle[self] = None

    def pause_writing(self) -> None:
        self._unread_since_s = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._unread_since_s = None
        super().resume_writing()

    def shutdown(self) -> None:
        if self._body_since_s is not None and not self.cycle.response_started:
            self.transport.close()  # nobody waits for the end of a body
        else:
            super().shutdown()

    def look(self, now_s: float) -> None:
        """Close it if its time is over."""
        limits = self._gate.limits
        if self._unread_since_s is not None and now_s > self._unread_since_s + limits.unread_s:
            self.transport.abort()
        elif self._head_until_s is not None and now_s > self._head_until_s:
            if self._head_bytes:
                self._refuse(_too_slow("head"))
            else:
                self.transport.close()
        elif (
            self._body_since_s is not None
            and now_s > self._body_since_s + limits.body_s + self._body_bytes / limits.body_rate
            and not self.flow.read_paused  # it is the server that is slow
        ):
            if self.cycle.response_started:
                self.transport.close()
            else:
                self._refuse(_too_slow("body", self.scope["path"]))

    def send_400_response(self, msg: str) -> None:
        self._refuse(answer("", 400, "bad_request", "what was sent isn't a request of HTTP/1.1"))

    def _refuse(self, response: Any) -> None:
        """Answer what can't be handed to the application, and hang up."""
        lines = [b"HTTP/1.1 %d %s" % (response.status_code, _REASONS[response.status_code])]
        lines += [b"%s: %s" % header for header in response.raw_headers]
        lines.append(b"x-request-id: " + new_id().encode())
        self.transport.write(b"\r\n".join([*lines, b"connection: close", b"", response.body]))
        self.transport.close()


_REASONS = {
    400: b"Bad Request",
    408: b"Request Timeout",
    431: b"Request Header Fields Too Large",
    503: b"Service Unavailable",
}


def _too_slow(what: str, path: str = "") -> Any:
    return answer(path, 408, "too_slow", f"the {what} of the request took too long; try again")
