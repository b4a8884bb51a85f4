"""What a thing measured, as vendor and owner ask for it: page by page, by hours, and as CSV."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Query
from sqlalchemy import Select, and_, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from thermokeeper.contract import schemas
from thermokeeper.contract.fields import WORD_PATTERN
from thermokeeper.contract.schemas import Page
from thermokeeper.contract.times import format_time, from_milliseconds, milliseconds
from thermokeeper.server.http.context import Context
from thermokeeper.server.http.csv_answers import CSV, CsvResponse
from thermokeeper.server.http.pages import From, To, no_page, page_of, row_number
from thermokeeper.server.rules import history
from thermokeeper.server.rules.ownership import Seen
from thermokeeper.server.storage.models import Datapoint, ReadingHour


@dataclass(frozen=True)
class Filter:
    """Which of a thing's readings a call is about."""

    event: Annotated[str | None, Query(pattern=WORD_PATTERN, description="only of this event")] = None
    from_: From = None
    to: To = None


Filtered = Annotated[Filter, Depends()]
HoursAfter = Annotated[str | None, Query(max_length=100, description="`next` of the page before")]
CSV_ANSWER: dict[str, Any] = {
    "description": "a line for each, with a heading",
    "content": {CSV: {"schema": {"type": "string"}}},
}

Row = TypeVar("Row", Datapoint, ReadingHour)

_AT_ONCE = 1000  # rows that are in memory
_HEADING = ("event", "value", "at", "arrived")


def datapoints_page(
    session: Session,
    seen: Seen,
    which: Filter,
    after: str | None,
    limit: int,
) -> Page[schemas.Datapoint]:
    """Last arrived first; where a time is given, last measured first."""
    rows = _of(Datapoint, Datapoint.at, seen, which)
    if which.from_ is None and which.to is None:
        rows = rows.order_by(Datapoint.id.desc())
        if after is not None:
            rows = rows.where(Datapoint.id < row_number(after))
        found, following = page_of(session, rows, limit, lambda row: str(row.id))
    else:
        rows = rows.order_by(Datapoint.at.desc(), Datapoint.id.desc())
        if after is not None:
            at, row_id = _moment_and(after)
            last = row_number(row_id)
            same_moment = and_(Datapoint.at == at, Datapoint.id < last)
            rows = rows.where(Datapoint.at <= at, or_(Datapoint.at < at, same_moment))
        found, following = page_of(session, rows, limit, lambda row: f"{milliseconds(row.at)}.{row.id}")
    items = [schemas.Datapoint(event=row.event, value=row.value, at=row.at, arrived=row.arrived_at) for row in found]
    return Page(items=items, next=following)


def hours_page(
    session: Session,
    seen: Seen,
    which: Filter,
    after: str | None,
    limit: int,
) -> Page[schemas.ReadingHour]:
    """Last hour first."""
    rows = _of(ReadingHour, ReadingHour.start, seen, which)
    rows = rows.order_by(ReadingHour.start.desc(), ReadingHour.event.desc())
    if after is not None:
        start, last = _moment_and(after)
        same_hour = and_(ReadingHour.start == start, ReadingHour.event < last)
        rows = rows.where(ReadingHour.start <= start, or_(ReadingHour.start < start, same_hour))
    found, following = page_of(session, rows, limit, lambda row: f"{milliseconds(row.start)}.{row.event}")
    items = [
        schemas.ReadingHour(
            event=row.event, start=row.start, count=row.count, mean=history.mean_of(row), min=row.least, max=row.most
        )
        for row in found
    ]
    return Page(items=items, next=following)


def datapoints_csv(ctx: Context, seen: Seen, number: str, which: Filter) -> CsvResponse:
    """First measured first; a piece of it is read when the one before has been sent."""

    def rows() -> Iterator[tuple[object, ...]]:
        yield _HEADING
        last: Datapoint | None = None
        while True:
            wanted = _of(Datapoint, Datapoint.at, seen, which)
            if last is not None:
                same_moment = and_(Datapoint.at == last.at, Datapoint.id > last.id)
                wanted = wanted.where(Datapoint.at >= last.at, or_(Datapoint.at > last.at, same_moment))
            with ctx.database.reading() as session:
                found = list(session.scalars(wanted.order_by(Datapoint.at, Datapoint.id).limit(_AT_ONCE)))
            for row in found:
                yield row.event, row.value, format_time(row.at), format_time(row.arrived_at)
            if len(found) < _AT_ONCE:
                return
            last = found[-1]

    return CsvResponse(rows(), f"{number}.csv")


def _of(kind: type[Row], moment: InstrumentedAttribute[datetime], seen: Seen, which: Filter) -> Select[Row]:
    """The rows of this kind that a filter leaves; moment: the column that its times are about."""
    rows: Select[Row] = select(kind).where(kind.thing_id == seen.thing_id)
    if seen.after and kind is Datapoint:
        rows = rows.where(Datapoint.id > seen.after)
    if seen.since is not None:
        rows = rows.where(moment >= seen.since)
    if which.event is not None:
        rows = rows.where(kind.event == which.event)
    if which.from_ is not None:
        rows = rows.where(moment >= which.from_)
    return rows if which.to is None else rows.where(moment < which.to)


def _moment_and(after: str) -> tuple[datetime, str]:
    """What `after` says where the mark is a moment and something else. ApiError 400 if it is none."""
    moment, dot, rest = after.partition(".")
    if not dot or not rest.isprintable():
        raise no_page()
    found = from_milliseconds(row_number(moment))
    if found is None:
        raise no_page()
    return found, rest
