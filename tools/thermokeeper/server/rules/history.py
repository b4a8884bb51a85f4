"""What stays of datapoints: for each hour of each event how many there were, their least, most and mean.

An hour is kept up with the points themselves, in their transaction: each point counts once, however often it is sent,
and the hour is there as soon as they are. A point whose time can't be true, of a clock that wasn't set, say, counts in
none: else a device could make hours without an end, and they stay.
"""

import sys
from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from thermokeeper.server.storage.models import ReadingHour

_LATEST_BY = timedelta(days=31)  # a device that was offline for longer than this has lost its readings, too
_EARLY_BY = timedelta(days=1)


def add(
    session: Session, thing_id: str, event: str, points: Iterable[tuple[datetime, float]], arrived: datetime
) -> None:
    """Count new points, (measured at, value), in their hours. The thing's row must be locked."""
    hours: dict[datetime, list[float]] = {}
    for at, value in points:
        if arrived - _LATEST_BY <= at <= arrived + _EARLY_BY:
            hours.setdefault(at.replace(minute=0, second=0, microsecond=0), []).append(value)
    if not hours:
        return
    wanted = select(ReadingHour).where(
        ReadingHour.thing_id == thing_id, ReadingHour.start.in_(hours), ReadingHour.event == event
    )
    known = {row.start: row for row in session.scalars(wanted)}
    for start, values in hours.items():
        row = known.get(start)
        if row is None:
            row = ReadingHour(
                thing_id=thing_id, start=start, event=event, count=0, sum=0.0, least=values[0], most=values[0]
            )
            session.add(row)
        row.count += len(values)
        row.sum = _finite(row.sum + _finite(sum(values)))
        row.least, row.most = min(row.least, *values), max(row.most, *values)


def mean_of(row: ReadingHour) -> float:
    """Between the least and the most, whatever rounding did."""
    return max(row.least, min(row.most, row.sum / row.count))


def _finite(number: float) -> float:
    """JSON has no infinity, and two readings of a device that sends nonsense may come to one."""
    return max(-sys.float_info.max, min(sys.float_info.max, number))
