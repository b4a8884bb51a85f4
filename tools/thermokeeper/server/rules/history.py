"""What stays of datapoints: for each hour of each event how many there were, their least, most and mean.

An hour is kept up with the points themselves, in their transaction: each point counts once, however often it is sent,
and the hour is there as soon as they are. A point whose time can't be true, of a clock that wasn't set, say, counts in
none: else a device could make hours without an end, and they stay.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Connection, Insert, Table, case
from sqlalchemy.dialects import postgresql, sqlite

from thermokeeper.server.storage.models import ReadingHour

_LATEST_BY = timedelta(days=31)  # a device that was offline for longer than this has lost its readings, too
_EARLY_BY = timedelta(days=1)
_MOST = 1e300  # in a sum: JSON has no infinity, and PostgreSQL refuses one, and a device may send nonsense


def add(
    connection: Connection, thing_id: str, event: str, points: Iterable[tuple[datetime, float]], arrived: datetime
) -> None:
    """Count new points, (measured at, value), in their hours: one statement, whatever is there already."""
    hours: dict[datetime, list[float]] = {}
    for at, value in points:
        if arrived - _LATEST_BY <= at <= arrived + _EARLY_BY:
            hours.setdefault(at.replace(minute=0, second=0, microsecond=0), []).append(value)
    rows = [
        {
            "thing_id": thing_id,
            "start": start,
            "event": event,
            "count": len(values),
            "sum": sum(max(-_MOST, min(_MOST, value)) for value in values),
            "least": min(values),
            "most": max(values),
        }
        for start, values in hours.items()
    ]
    if rows:
        connection.execute(_UPSERTS[connection.dialect.name], rows)


def _upsert(insert: Callable[..., Any]) -> Insert:
    table = cast(Table, ReadingHour.__table__)
    wanted = insert(table)
    new, old = wanted.excluded, table.c
    merged: Insert = wanted.on_conflict_do_update(
        index_elements=list(table.primary_key),
        set_={
            "count": old.count + new.count,
            "sum": old.sum + new.sum,
            "least": case((new.least < old.least, new.least), else_=old.least),
            "most": case((new.most > old.most, new.most), else_=old.most),
        },
    )
    return merged


# the two that there are know the same words, each as its own
_UPSERTS = {"sqlite": _upsert(sqlite.insert), "postgresql": _upsert(postgresql.insert)}


def mean_of(row: ReadingHour) -> float:
    """Between the least and the most, whatever rounding, or a value beyond what a sum takes, did."""
    return max(row.least, min(row.most, row.sum / row.count))
