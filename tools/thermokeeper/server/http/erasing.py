"""A thing's datapoints and hours, deleted: the former in pieces, so that other writers get their turn between them."""

from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from thermokeeper.server.http.context import Context
from thermokeeper.server.storage.models import Datapoint, ReadingHour
from thermokeeper.server.storage.retention import numbers_come_again

_AT_ONCE = 5000


def last_point(session: Session, thing_id: str) -> int:
    """Number of the thing's last datapoint; 0 if it has none."""
    return session.scalar(select(func.max(Datapoint.id)).where(Datapoint.thing_id == thing_id)) or 0


def erase_hours(session: Session, thing_id: str, since: datetime | None) -> None:
    """Its hours, or those with a time `since` in them."""
    hours = delete(ReadingHour).where(ReadingHour.thing_id == thing_id)
    if since is not None:
        hours = hours.where(ReadingHour.start > since - timedelta(hours=1))
    session.execute(hours, execution_options={"synchronize_session": False})


def erase_points(ctx: Context, thing_id: str, after: int, until: int) -> int:
    """Those with numbers above `after` and up to `until`; how many. Broken off, it is simply called again."""
    of_it = (Datapoint.thing_id == thing_id, Datapoint.id > after)
    erased = 0
    while True:
        with ctx.database.writing() as session:
            piece = select(Datapoint.id).where(*of_it, Datapoint.id <= until).order_by(Datapoint.id).limit(_AT_ONCE)
            numbers = list(session.scalars(piece))
            if numbers:
                gone = delete(Datapoint).where(*of_it, Datapoint.id <= numbers[-1])
                session.execute(gone, execution_options={"synchronize_session": False})
                numbers_come_again(session)
        erased += len(numbers)
        if len(numbers) < _AT_ONCE:
            return erased
