"""Every refusal of the server, in one form: {"error": {"code", "message"}}, in JSON, and under /dms in MessagePack."""

import errno
import logging
from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Match, Route, Router
from starlette.types import Scope

from thermokeeper.contract.faults import in_words
from thermokeeper.server import calling
from thermokeeper.server.http.messagepack import MessagePackResponse
from thermokeeper.server.refusals import ApiError, disk_full
from thermokeeper.server.storage.database import found_no_room

log = logging.getLogger("thermokeeper.server")

_CODES = {400: "bad_request", 401: "unauthorized", 404: "not_found", 405: "method_not_allowed", 413: "too_large"}


def speaks_messagepack(path: str) -> bool:
    return path == "/dms" or path.startswith("/dms/")


def answer(path: str, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """A refusal, in the language of the path that was called."""
    calling.refused(code)
    kind = MessagePackResponse if speaks_messagepack(path) else JSONResponse
    return kind({"error": {"code": code, "message": message}}, status, dict(headers) if headers else None)


def answer_of(path: str, error: ApiError) -> Response:
    return answer(path, error.status, error.code, error.message, error.headers)


def install(app: FastAPI) -> None:
    """Make `app` answer every failure in our form."""

    @app.exception_handler(ApiError)
    async def refused(request: Request, error: ApiError) -> Response:
        return answer_of(request.url.path, error)

    @app.exception_handler(HTTPException)
    async def not_taken(request: Request, error: HTTPException) -> Response:
        path = request.url.path
        if error.status_code == 400:
            return answer(path, 400, "bad_request", "body: not JSON")
        message = {404: "there is no such path", 405: "this path does not take that method"}.get(error.status_code)
        code = _CODES.get(error.status_code, "refused")
        headers = error.headers
        if error.status_code == 405:
            headers = {"Allow": ", ".join(sorted(_methods(request.app.router, request.scope)))}
        return answer(path, error.status_code, code, message or str(error.detail), headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return answer(request.url.path, 400, "bad_request", _first_fault(request, error))

    @app.exception_handler(IntegrityError)
    async def collided(request: Request, _error: IntegrityError) -> Response:
        path = request.url.path
        if speaks_messagepack(path):  # its 409 has meanings of its own
            return answer(path, 503, "busy", "another call changed the same just now; try again", {"Retry-After": "1"})
        message = "this clashes with something there is already, or with another change just made"
        return answer(path, 409, "conflict", message)

    @app.exception_handler(OSError)
    async def no_file(request: Request, error: OSError) -> Response:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return _no_room(request)
        log.error("a file: %s", error)  # what the disk does has no traceback
        return _failed(request)

    @app.exception_handler(ClientDisconnect)
    async def gone(request: Request, _error: ClientDisconnect) -> Response:
        return answer(request.url.path, 400, "bad_request", "body: cut off by the caller")  # nobody reads it

    async def unavailable(request: Request, error: Exception) -> Response:
        if isinstance(error, OperationalError) and found_no_room(error):
            return _no_room(request)
        log.error("database: %s", str(getattr(error, "orig", error)).partition("\n")[0])
        message = "the database does not answer; try again later"
        return answer(request.url.path, 503, "unavailable", message, {"Retry-After": "5"})

    app.add_exception_handler(OperationalError, unavailable)
    app.add_exception_handler(PoolTimeout, unavailable)

    @app.exception_handler(Exception)
    async def failed(request: Request, _error: Exception) -> Response:
        # Starlette raises it once more behind this answer: it is logged with its traceback, and the connection ends
        return _failed(request)


def _failed(request: Request) -> Response:
    return answer(request.url.path, 500, "internal", "the server failed; its log says why", {"Connection": "close"})


def _no_room(request: Request) -> Response:
    log.error("the disk of the data folder is full")
    return answer_of(request.url.path, disk_full())


def _methods(router: Router, scope: Scope) -> set[str]:
    """All that the path takes: Starlette names only those of the first route that fits it."""
    found: set[str] = set()
    for route in router.routes:
        if included := getattr(route, "original_router", None):  # FastAPI keeps a router that was included as a whole
            found |= _methods(included, scope)
        elif isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE:
            found |= route.methods or set()
    return found


def _first_fault(request: Request, error: RequestValidationError) -> str:
    """The first fault as `where: what`, without the value (which may be a secret)."""
    fault = error.errors()[0]
    where = [str(part) for part in fault["loc"] if not (fault["type"] == "json_invalid" and isinstance(part, int))]
    what = in_words(fault)
    if fault["type"] == "json_invalid":
        what = f"not JSON ({fault['ctx']['error']})"
    elif where == ["body"] and "json" not in request.headers.get("content-type", "json"):
        what = "send JSON, with Content-Type: application/json"
    return f"{'.'.join(where)}: {what}"
