"""Conditional and range requests of RFC 9110 for one representation with a strong ETag and no date. Pure.

This module must not know files, frameworks or databases: header texts in, a decision out.
"""

import re
from dataclasses import dataclass

_ETAG = re.compile(r'\s*(W/)?("[\x21\x23-\x7e\x80-\xff]*")\s*(?:,|$)')
_SPEC = re.compile(r"([0-9]*)-([0-9]*)")
_MAX_RANGE_TEXT = 1000  # longer ones are nonsense, and converting thousands of digits is slow


@dataclass(frozen=True)
class Decision:
    """`status` is 200, 206, 304, 412 or 416; a body (200, 206) is the bytes from `start` up to, not with, `end`."""

    status: int
    start: int = 0
    end: int = 0


def decide(
    size: int,
    etag: str,
    *,
    if_match: str | None = None,
    if_none_match: str | None = None,
    if_range: str | None = None,
    range_: str | None = None,
) -> Decision:
    """What to answer to a GET; the order is that of RFC 9110 13.2.2. `etag` with its quotes, strong; size > 0.

    Several ranges, another unit and a malformed Range get the whole, as 14.2 allows.
    """
    if if_match is not None and not _matches(if_match, etag, weakly=False):
        return Decision(412)
    if if_none_match is not None and _matches(if_none_match, etag, weakly=True):
        return Decision(304)
    if range_ is not None and (if_range is None or if_range.strip() == etag):
        # an If-Range with a date never holds: there is no Last-Modified
        found = single_range(range_, size)
        if found == "unsatisfiable":
            return Decision(416)
        if isinstance(found, tuple):
            return Decision(206, *found)
    return Decision(200, 0, size)


def single_range(text: str, size: int) -> tuple[int, int] | str | None:
    """(start, end) of the one range that a Range header asks for; "unsatisfiable"; None: ignore the header."""
    unit, equals, specs = text.strip().partition("=")
    if not equals or unit.lower() != "bytes" or len(text) > _MAX_RANGE_TEXT:
        return None
    wanted = [spec.strip(" \t") for spec in specs.split(",") if spec.strip(" \t")]
    if len(wanted) != 1:
        return None
    match = _SPEC.fullmatch(wanted[0])
    if match is None or wanted[0] == "-":
        return None
    first, last = match.groups()
    if not first:
        length = int(last)
        return (max(0, size - length), size) if length else "unsatisfiable"
    if last and int(last) < int(first):
        return None
    if int(first) >= size:
        return "unsatisfiable"
    return int(first), min(int(last) + 1, size) if last else size


def _matches(header: str, etag: str, *, weakly: bool) -> bool:
    """Whether a list of entity tags (or `*`) has this one; a weak tag counts only when compared weakly."""
    if header.strip() == "*":
        return True
    position = 0
    while match := _ETAG.match(header, position):
        if match[2] == etag and (weakly or not match[1]):
            return True
        position = match.end()
    return False
