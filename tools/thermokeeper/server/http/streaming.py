"""Answers that are read from a file as they are sent: their memory doesn't depend on its size."""

import base64
import logging
from collections.abc import Iterator
from typing import BinaryIO

from anyio import CancelScope, create_task_group, to_thread
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

log = logging.getLogger("thermokeeper.server")

_BLOCK_BYTES = 48 * 1024  # a multiple of 3: base64 of a block has no padding inside


class FileResponse(Response):
    """`length` bytes of `file` from `start`; closes the file, whatever happens to the connection."""

    media_type = "application/octet-stream"

    def __init__(
        self, file: BinaryIO, start: int, length: int, headers: dict[str, str], status_code: int = 200
    ) -> None:
        self._file = file
        self._start = start
        self._length = length
        self.status_code = status_code
        self.background = None
        self.body = b""
        self.init_headers({**headers, "Content-Length": str(self.content_length())})

    def content_length(self) -> int:
        return self._length

    def blocks(self) -> Iterator[bytes]:
        self._file.seek(self._start)
        left = self._length
        while left:
            block = self._file.read(min(left, _BLOCK_BYTES))
            if not block:
                raise OSError("a firmware file became shorter while it was sent")
            left -= len(block)
            yield block

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._file:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if scope["method"] == "HEAD":
                await send({"type": "http.response.body", "body": b""})
                return
            async with create_task_group() as tasks:
                tasks.start_soon(_until_gone, receive, tasks.cancel_scope)
                await self._send_blocks(send)
                tasks.cancel_scope.cancel()

    async def _send_blocks(self, send: Send) -> None:
        blocks = self.blocks()
        while block := await to_thread.run_sync(_next_of, blocks):
            await send({"type": "http.response.body", "body": block, "more_body": True})
        if block is None:  # the server closes the connection of an answer that isn't complete
            return
        await send({"type": "http.response.body", "body": b""})


async def _until_gone(receive: Receive, sending: CancelScope) -> None:
    """Ends the sending once nobody reads it: what is sent to a caller who has gone isn't refused, only lost."""
    while (await receive())["type"] != "http.disconnect":
        pass
    sending.cancel()


def _next_of(blocks: Iterator[bytes]) -> bytes | None:
    """The next block, nothing at the end; None if the disk doesn't give it."""
    try:
        return next(blocks, b"")
    except OSError as error:
        log.error("a file that is being sent: %s", error)
        return None


class Base64JsonResponse(FileResponse):
    """The whole file as `{"firmware": "<base64>"}`."""

    media_type = "application/json"
    _BEFORE = b'{"firmware": "'
    _BEHIND = b'"}'

    def content_length(self) -> int:
        return len(self._BEFORE) + (self._length + 2) // 3 * 4 + len(self._BEHIND)

    def blocks(self) -> Iterator[bytes]:
        yield self._BEFORE
        rest = b""
        for block in super().blocks():  # a file may give less than was asked for
            block = rest + block
            whole = len(block) // 3 * 3
            rest = block[whole:]
            if whole:
                yield base64.b64encode(block[:whole])
        if rest:
            yield base64.b64encode(rest)
        yield self._BEHIND
