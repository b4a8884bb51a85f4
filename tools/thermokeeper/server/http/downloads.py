"""The download of a firmware: its conditions and ranges, those of RFC 9110, and what the page at /docs says of them."""

from typing import Any, BinaryIO

from fastapi import Request, Response

from thermokeeper.server.http.context import Context
from thermokeeper.server.http.ranges import decide
from thermokeeper.server.http.responses import Responses, refusal
from thermokeeper.server.http.streaming import FileResponse
from thermokeeper.server.refusals import ApiError
from thermokeeper.server.rules.rows import find_version
from thermokeeper.server.storage.models import Version

BINARY: dict[str, Any] = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
CONDITIONS: dict[str, Any] = {
    "parameters": [
        {"name": name, "in": "header", "required": False, "schema": {"type": "string"}, "description": description}
        for name, description in (
            ("Range", "one range of bytes: `bytes=1000-`, `bytes=0-4095`, `bytes=-100`; several get the whole"),
            ("If-Range", "an ETag: the range only if the firmware is still that one, otherwise the whole"),
            ("If-Match", "ETags: 412 if the firmware is none of them"),
            ("If-None-Match", "ETags: 304 if the firmware is one of them"),
        )
    ]
}


def download_responses(refusals: Responses) -> Responses:
    """With the call's own refusals."""
    return {
        200: {"description": "the whole firmware", "content": BINARY},
        206: {"description": "the range asked for, with Content-Range", "content": BINARY},
        304: {"description": "not modified: If-None-Match names the ETag"},
        **refusals,
        412: refusal("If-Match names another ETag"),
        416: refusal("no such range; Content-Range says how long the firmware is"),
    }


def send_firmware(ctx: Context, request: Request, version: Version) -> Response:
    """The version's firmware, as the request's conditions and range have it. ApiError 412 or 416."""
    size = version.firmware_size or 0
    etag = f'"{version.firmware_sha256}"'
    decision = decide(
        size,
        etag,
        if_match=_header(request, "if-match"),
        if_none_match=_header(request, "if-none-match"),
        if_range=_header(request, "if-range"),
        range_=_header(request, "range") if request.method == "GET" else None,
    )
    headers = {"ETag": etag, "Accept-Ranges": "bytes", "Cache-Control": "private"}
    if decision.status == 304:
        return Response(status_code=304, headers=headers)
    if decision.status == 412:
        raise ApiError(412, "precondition_failed", "the firmware is not the one that If-Match names", {"ETag": etag})
    if decision.status == 416:
        headers["Content-Range"] = f"bytes */{size}"
        raise ApiError(416, "range_not_satisfiable", f"the firmware has {size} bytes", headers)
    if decision.status == 206:
        headers["Content-Range"] = f"bytes {decision.start}-{decision.end - 1}/{size}"
    file = open_firmware(ctx, version)
    return FileResponse(file, decision.start, decision.end - decision.start, headers, decision.status)


def open_firmware(ctx: Context, version: Version) -> BinaryIO:
    """The version's file. ApiError 404 if the version was deleted just now; OSError if only its file is gone."""
    try:
        return ctx.firmware.open(version.id, version.firmware_size or 0)
    except FileNotFoundError:
        with ctx.database.reading() as session:
            find_version(session, version.id)
        raise


def _header(request: Request, name: str) -> str | None:
    """A header's fields as one list, as RFC 9110 5.3 combines them."""
    values = request.headers.getlist(name)
    return ", ".join(values) if values else None
