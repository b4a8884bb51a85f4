"""Bodies above their limit are refused before they are read: 413, in our form; large ones of strangers: 401.

FastAPI reads a body before it looks at who calls, so a stranger's would lie in memory until then.
"""

from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from thermokeeper.server.http.errors import answer, answer_of
from thermokeeper.server.refusals import ApiError


class BodyLimit:
    """ASGI middleware; `limit_of(path)` gives the most bytes that a body may have there.

    Above `strangers_bytes` the caller has to be one that `refusal_of` has nothing against.
    """

    def __init__(
        self,
        app: ASGIApp,
        limit_of: Callable[[str], int],
        strangers_bytes: int,
        refusal_of: Callable[[Scope], Awaitable[ApiError | None]],
    ) -> None:
        self._app = app
        self._limit_of = limit_of
        self._strangers_bytes = strangers_bytes
        self._refusal_of = refusal_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        limit = self._limit_of(path)
        message = f"the body has more than {limit} bytes"
        length = dict(scope["headers"]).get(b"content-length", b"0")
        declared = int(length) if length.isdigit() else 0
        if declared > limit:
            await answer(path, 413, "too_large", message)(scope, receive, send)
            return
        known = limit <= self._strangers_bytes
        if declared > self._strangers_bytes and not known:
            if refusal := await self._refusal_of(scope):
                await answer_of(path, refusal)(scope, receive, send)
                return
            known = True
        taken = 0

        async def counted() -> Message:
            nonlocal taken, known
            event = await receive()
            taken += len(event.get("body", b""))
            if taken > limit:
                raise HTTPException(413, message)  # FastAPI, which reads the body, takes anything else for bad JSON
            if taken > self._strangers_bytes and not known:
                if refusal := await self._refusal_of(scope):
                    raise HTTPException(refusal.status, refusal.message, refusal.headers)
                known = True
            return event

        await self._app(scope, counted, send)
