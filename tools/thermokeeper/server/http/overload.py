"""More calls at once than the server can work on are refused at once, and told when to come again.

Else they would queue without an end, and each be answered after its caller has gone. A call counts until its answer
begins: a download that a slow device takes minutes for holds nobody up.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from thermokeeper.server.http.errors import answer_of
from thermokeeper.server.refusals import Busy

_ALWAYS = ("/healthz",)  # who asks there wants to know whether the server lives


class Overload:
    """ASGI middleware; `limit`: calls at once. It runs in one thread, that of the event loop."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit
        self._working = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _ALWAYS:
            await self._app(scope, receive, send)
            return
        if self._working >= self._limit:
            await answer_of(scope["path"], Busy())(scope, receive, send)
            return
        counted = True
        self._working += 1

        def begun() -> None:
            nonlocal counted
            if counted:
                counted = False
                self._working -= 1

        async def send_on(event: Message) -> None:
            begun()
            await send(event)

        try:
            await self._app(scope, receive, send_on)
        finally:
            begun()
