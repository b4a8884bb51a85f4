"""An answer in CSV (RFC 4180) that is written as it is sent: its memory doesn't depend on its length."""

import csv
import io
import logging
from collections.abc import Iterable, Iterator
from itertools import islice

from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Send

log = logging.getLogger("thermokeeper.server")

CSV = "text/csv"
_LINES = 500  # that are sent at once
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class CsvResponse(StreamingResponse):
    """Of rows, the heading first. A name that a browser may keep it under must be one of a file."""

    media_type = CSV

    def __init__(self, rows: Iterable[tuple[object, ...]], file_name: str, status_code: int = 200) -> None:
        self._blocks = blocks_of(rows)
        headers = {"Content-Disposition": f'attachment; filename="{file_name}"', "Cache-Control": "private"}
        super().__init__(iter(()), status_code, headers)

    async def stream_response(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        while block := await run_in_threadpool(self._next):
            await send({"type": "http.response.body", "body": block, "more_body": True})
        if block is None:  # the server closes the connection of an answer that isn't complete
            return
        await send({"type": "http.response.body", "body": b""})

    def _next(self) -> bytes | None:
        """The next block, nothing at the end; None if the database doesn't give it."""
        try:
            return next(self._blocks, b"")
        except SQLAlchemyError as error:
            log.error("a list that is being sent: %s", str(getattr(error, "orig", error)).partition("\n")[0])
            return None


def blocks_of(rows: Iterable[tuple[object, ...]]) -> Iterator[bytes]:
    """The rows as CSV, some hundred lines at once."""
    left = iter(rows)
    while some := list(islice(left, _LINES)):
        text = io.StringIO()
        csv.writer(text).writerows([cell(value) for value in row] for row in some)
        yield text.getvalue().encode()


def cell(value: object) -> object:
    """What a spreadsheet takes for nothing but what it is: a text that it would compute is marked as one."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
