"""Bodies above their limit are refused before they are read: 413, in our form."""

from collections.abc import Callable

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from thermokeeper.server.http.errors import answer


class BodyLimit:
    """ASGI middleware; `limit_of(path)` gives the most bytes that a body may have there."""

    def __init__(self, app: ASGIApp, limit_of: Callable[[str], int]) -> None:
        self._app = app
        self._limit_of = limit_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit_of(scope["path"])
        message = f"the body has more than {limit} bytes"
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > limit:
            await answer(scope["path"], 413, "too_large", message)(scope, receive, send)
            return
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            event = await receive()
            taken += len(event.get("body", b""))
            if taken > limit:
                raise HTTPException(413, message)  # FastAPI, which reads the body, takes anything else for bad JSON
            return event

        await self._app(scope, counted, send)
