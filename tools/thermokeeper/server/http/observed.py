"""Each call is seen once, around everything: it gets its id, is timed and counted, and has its line in the log.

The id is the caller's `X-Request-Id` if that can stand in a log, or a new one; the answer's header tells it.
"""

import logging
import re
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from thermokeeper.server import calling
from thermokeeper.server.logs import CALLS, FIELDS, one_line
from thermokeeper.server.metrics import Metrics
from thermokeeper.server.secrets import new_id

log = logging.getLogger(CALLS)

HEADER = b"x-request-id"
_TAKEN = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_NO_ROUTE = "none"
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_DOWNLOADS = frozenset(
    (
        "/v1/versions/{version_id}/firmware.bin",
        "/v1/versions/{version_id}/firmware.json",
        "/dms/v1/firmware/{version_id}",
    )
)


class Observed:
    """ASGI middleware, the outermost: also of what is answered when something fails that nobody foresaw."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        call = calling.Call(_id_of(scope))
        calling.begin(call)
        name = HEADER, call.id.encode()
        begun_s = time.perf_counter()
        status = 0
        downloads = False

        async def send_on(event: Message) -> None:
            nonlocal status, downloads
            if event["type"] == "http.response.start":
                status = event["status"]
                event["headers"] = [*event.get("headers", ()), name]
                route = _route_of(scope)
                method = scope["method"] if scope["method"] in _METHODS else "other"
                self._metrics.answered(route, method, status, time.perf_counter() - begun_s, call.refused)
                if downloads := route in _DOWNLOADS and status in (200, 206):
                    self._metrics.download_begins()
            await send(event)

        try:
            await self._app(scope, receive, send_on)
        finally:
            if downloads:
                self._metrics.download_ends()
            if log.isEnabledFor(logging.INFO):
                _say(scope, call, status, (time.perf_counter() - begun_s) * 1000)


def _id_of(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == HEADER:
            return str(value, "ascii") if _TAKEN.fullmatch(value) else new_id()
    return new_id()


def _route_of(scope: Scope) -> str:
    """The template of the path, as the page at /docs has it."""
    found: str = getattr(scope.get("route"), "path", _NO_ROUTE)
    return found


def _say(scope: Scope, call: calling.Call, status: int, took_ms: float) -> None:
    """Without the query: whatever is in it, a line of the log is no place for it."""
    fields = {
        "method": scope["method"],
        "path": one_line(scope["path"]),
        "status": status,
        "ms": round(took_ms, 1),
        "client": scope["client"][0] if scope.get("client") else None,
        "refused": call.refused or None,
    }
    of = f" ({call.refused})" if call.refused else ""
    log.info(
        "%s %s %s%s in %.1f ms, %s at %s",
        fields["method"],
        fields["path"],
        status or "cut off",
        of,
        took_ms,
        call.who or "somebody",
        fields["client"],
        extra={FIELDS: fields},
    )
