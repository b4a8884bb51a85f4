"""The poll, which a server exists for: `GET target-version.json` of a device that is known is answered from memory.

In front of all that other calls go through. What isn't known here goes on to the route of the same path, which says
what is to be said and is what the page at /docs shows.
"""

from types import SimpleNamespace

from starlette.types import ASGIApp, Receive, Scope, Send

from thermokeeper.server import calling
from thermokeeper.server.rules.known import Known, KnownDevices
from thermokeeper.server.secrets import hashed
from thermokeeper.server.storage.sightings import Sightings

_BEFORE = "/v1/things/"
_BEHIND = "/target-version.json"
_ROUTE = SimpleNamespace(path="/v1/things/{thing_id}/target-version.json")  # as a call's line and metrics have it
_JSON = (b"content-type", b"application/json")


class Polls:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, known: KnownDevices[Known], sightings: Sightings) -> None:
        self._app = app
        self._known = known
        self._sightings = sightings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "GET" and (path := scope["path"]).endswith(_BEHIND):
            for name, value in scope["headers"]:
                if name == b"x-apikey":
                    known = self._known.look(hashed(value.decode("latin-1")))
                    if known is not None and path == f"{_BEFORE}{known.thing_id}{_BEHIND}":
                        self._sightings.note(known.thing_id)
                        calling.known(f"thing {known.thing_id}")
                        scope["route"] = _ROUTE
                        await _answer(send, known.target)
                        return
                    break
        await self._app(scope, receive, send)


async def _answer(send: Send, target: bytes | None) -> None:
    if target is None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        return
    headers = [(b"content-length", b"%d" % len(target)), _JSON]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": target})
