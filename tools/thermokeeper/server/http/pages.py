"""Lists that are answered page by page."""

from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import Query
from sqlalchemy import Select
from sqlalchemy.orm import Session

from thermokeeper.contract.fields import Time
from thermokeeper.server.refusals import ApiError

Row = TypeVar("Row")

Limit = Annotated[int, Query(ge=1, le=1000, description="items on a page")]
From = Annotated[Time | None, Query(alias="from", description="from this time on")]
To = Annotated[Time | None, Query(description="before this time")]
After = Annotated[str | None, Query(max_length=64, description="`next` of the page before")]


def page_of(
    session: Session, rows: Select[Row], limit: int, mark: Callable[[Row], str]
) -> tuple[list[Row], str | None]:
    """The first rows, and the `next` of their page: the mark of the last one, or None if no more follow."""
    found = list(session.scalars(rows.limit(limit + 1)))
    return found[:limit], mark(found[limit - 1]) if len(found) > limit else None


def row_number(after: str) -> int:
    """What `after` says where the mark is a row's number. ApiError 400 if it is none."""
    if not (after.isascii() and after.isdigit() and len(after) < 19):
        raise no_page()
    return int(after)


def no_page() -> ApiError:
    return ApiError(400, "bad_request", "query.after: not the `next` of a page")
