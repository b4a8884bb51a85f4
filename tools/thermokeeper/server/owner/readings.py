"""Calls of owners: what one's things measured."""

from thermokeeper.contract import schemas
from thermokeeper.contract.schemas import Page
from thermokeeper.server.http.context import CallingOwner, Ctx
from thermokeeper.server.http.csv_answers import CsvResponse
from thermokeeper.server.http.pages import After, Limit
from thermokeeper.server.http.readings import (
    CSV_ANSWER,
    Filtered,
    HoursAfter,
    datapoints_csv,
    datapoints_page,
    hours_page,
)
from thermokeeper.server.http.routers import BAD, owner_router
from thermokeeper.server.owner.own import OTHERS, own_thing
from thermokeeper.server.rules.ownership import seen_by_owner

router = owner_router()


@router.get(
    "/things/{thing_id}/datapoints.json",
    summary="List the datapoints of one of one's things, last arrived first",
    response_model=Page[schemas.Datapoint],
    responses={**BAD, **OTHERS},
)
def list_own_datapoints(
    ctx: Ctx,
    owner_id: CallingOwner,
    thing_id: str,
    which: Filtered,
    after: After = None,
    limit: Limit = 100,
) -> Page[schemas.Datapoint]:
    """With `from` or `to` only those measured then, and last measured first."""
    with ctx.database.reading() as session:
        return datapoints_page(session, seen_by_owner(own_thing(session, thing_id, owner_id)), which, after, limit)


@router.get(
    "/things/{thing_id}/datapoints.csv",
    summary="Get the datapoints of one of one's things as CSV, first measured first",
    response_class=CsvResponse,
    responses={200: CSV_ANSWER, **BAD, **OTHERS},
)
def get_own_datapoints_csv(ctx: Ctx, owner_id: CallingOwner, thing_id: str, which: Filtered) -> CsvResponse:
    """All of them, however many there are."""
    with ctx.database.reading() as session:
        thing = own_thing(session, thing_id, owner_id)
        return datapoints_csv(ctx, seen_by_owner(thing), thing.serial.number, which)


@router.get(
    "/things/{thing_id}/hours.json",
    summary="List what the hours of one of one's things come to, last first",
    response_model=Page[schemas.ReadingHour],
    responses={**BAD, **OTHERS},
)
def list_own_hours(
    ctx: Ctx,
    owner_id: CallingOwner,
    thing_id: str,
    which: Filtered,
    after: HoursAfter = None,
    limit: Limit = 100,
) -> Page[schemas.ReadingHour]:
    """They stay when the datapoints go. Of a thing that was another's: from the first whole hour of one's own time."""
    with ctx.database.reading() as session:
        return hours_page(session, seen_by_owner(own_thing(session, thing_id, owner_id)), which, after, limit)
