"""Lists that are answered page by page."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, TypeVar

from fastapi import Query
from sqlalchemy import Select
from sqlalchemy.orm import Session

from thermokeeper.contract.fields import Time, is_id
from thermokeeper.server.refusals import ApiError

Row = TypeVar("Row")

_MOMENT = "%Y%m%dT%H%M%S.%f-"
_MOMENT_LENGTH = len("20261121T201318.000000-")

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


def moment_mark(at: datetime, row_id: str) -> str:
    """The mark of a row in a list by age: good even when that row is deleted before the next page is asked for."""
    return f"{at.astimezone(UTC):{_MOMENT}}{row_id}"


def moment_and_id(after: str | None) -> tuple[datetime, str]:
    """What `after` says where the mark is a `moment_mark`; before all rows without it. ApiError 400 if it is none."""
    if after is None:
        return datetime.min.replace(tzinfo=UTC), ""
    at, row_id = after[:_MOMENT_LENGTH], after[_MOMENT_LENGTH:]
    try:
        moment = datetime.strptime(at, _MOMENT)
    except ValueError:
        raise no_page() from None
    if not is_id(row_id):
        raise no_page()
    return moment.replace(tzinfo=UTC), row_id


def no_page() -> ApiError:
    return ApiError(400, "bad_request", "query.after: not the `next` of a page")
