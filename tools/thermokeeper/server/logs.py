"""Lines of the log: one for each thing that happened, on standard error, as text or as JSON, uvicorn's among them.

A line has the time, the level and the id of the call that it belongs to. What a caller composed can't end it or begin
another: whatever can't be printed is written as an escape. Nobody else may set handlers up.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Literal

from thermokeeper.server import calling

Format = Literal["text", "json"]
FORMATS: tuple[Format, ...] = ("text", "json")
CALLS = "thermokeeper.server.calls"  # logger of the line that each call has
FIELDS = "fields"  # `extra={FIELDS: {...}}`: what a program would have to read out of the message
_LONGEST = 2000  # characters of a message; a path may have tens of thousands
_OF_UVICORN = ("uvicorn", "uvicorn.error")


def configure(kind: Format, calls: bool = True) -> None:
    """For this process, once, before anything is said. calls: a line for each of them.

    uvicorn must be given no `log_config` of its own, and no `access_log`.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if kind == "json" else _Text())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)  # of libraries
    logging.getLogger("thermokeeper").setLevel(logging.INFO)
    logging.getLogger(CALLS).setLevel(logging.INFO if calls else logging.WARNING)
    for name in _OF_UVICORN:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.INFO)


def one_line(text: str) -> str:
    """The text without anything that a terminal or a reader of lines would obey, and of a length that can be kept."""
    if len(text) > _LONGEST:
        text = text[:_LONGEST] + "..."
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


class _Text(logging.Formatter):
    """`2026-11-21T20:13:18.123Z INFO [id of the call] message`; a traceback is set in below it."""

    def format(self, record: logging.LogRecord) -> str:
        call = calling.current()
        line = (
            f"{_time(record)} {record.levelname} [{call.id if call else '-'}] {one_line(record.getMessage().strip())}"
        )
        return "\n    ".join([line, *(one_line(text) for text in _traceback(self, record))])


class _Json(logging.Formatter):
    """An object a line: `time`, `level`, `message`; where there is one `call` and `caller`; and the record's fields."""

    def format(self, record: logging.LogRecord) -> str:
        found: dict[str, Any] = {"time": _time(record), "level": record.levelname.lower()}
        if (call := calling.current()) is not None:
            found["call"] = call.id
            if call.who:
                found["caller"] = one_line(call.who)
        found["message"] = one_line(record.getMessage().strip())
        found |= getattr(record, FIELDS, {})
        if lines := _traceback(self, record):
            found["traceback"] = [one_line(text) for text in lines]
        return json.dumps(found)  # in ASCII: nothing in it is obeyed


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> list[str]:
    if not record.exc_info:
        return []
    return formatter.formatException(record.exc_info).splitlines()
