"""A request as a server between a board and the real one gets it: read whole, nothing of it changed."""

from __future__ import annotations

import socket
from typing import NamedTuple

_BLOCK = 65536


class Whole(NamedTuple):
    """line: method, path and version; names of headers in lower case; raw: all of it."""

    line: str
    headers: dict[str, str]
    body: bytes
    raw: bytes


def read_request(stream: socket.socket) -> Whole | None:
    """The one request of a connection; None if it ends before the request does."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = stream.recv(_BLOCK)
        if not piece:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    while len(body) < int(headers.get("content-length", "0")):
        piece = stream.recv(_BLOCK)
        if not piece:
            return None
        body += piece
        data += piece
    return Whole(lines[0], headers, body, data)
