"""A thing's datapoints, deleted: in pieces, so that other writers get their turn between them."""

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from thermokeeper.server.http.context import Context
from thermokeeper.server.storage.models import Datapoint

_AT_ONCE = 5000


def last_point(session: Session, thing_id: str) -> int:
    """Number of the thing's last datapoint; 0 if it has none."""
    return session.scalar(select(func.max(Datapoint.id)).where(Datapoint.thing_id == thing_id)) or 0


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
        erased += len(numbers)
        if len(numbers) < _AT_ONCE:
            return erased
