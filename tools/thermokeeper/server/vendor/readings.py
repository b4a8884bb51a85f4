"""Calls of the vendor: what a thing measured."""

from thermokeeper.contract import schemas
from thermokeeper.contract.schemas import Page
from thermokeeper.server.http.context import Ctx
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
from thermokeeper.server.http.routers import BAD, MISSING, vendor_router
from thermokeeper.server.rules.ownership import Seen
from thermokeeper.server.rules.rows import find_thing

router = vendor_router()


@router.get(
    "/things/{thing_id}/datapoints.json",
    summary="List the datapoints of a thing, last arrived first",
    response_model=Page[schemas.Datapoint],
    responses={**BAD, **MISSING},
)
def list_datapoints(
    ctx: Ctx,
    thing_id: str,
    which: Filtered,
    after: After = None,
    limit: Limit = 100,
) -> Page[schemas.Datapoint]:
    """With `from` or `to` only those measured then, and last measured first."""
    with ctx.database.reading() as session:
        return datapoints_page(session, Seen(find_thing(session, thing_id).id), which, after, limit)


@router.get(
    "/things/{thing_id}/datapoints.csv",
    summary="Get the datapoints of a thing as CSV, first measured first",
    response_class=CsvResponse,
    responses={200: CSV_ANSWER, **BAD, **MISSING},
)
def get_datapoints_csv(ctx: Ctx, thing_id: str, which: Filtered) -> CsvResponse:
    """All of them, however many there are."""
    with ctx.database.reading() as session:
        thing = find_thing(session, thing_id)
        return datapoints_csv(ctx, Seen(thing.id), thing.serial.number, which)


@router.get(
    "/things/{thing_id}/hours.json",
    summary="List what the hours of a thing's datapoints come to, last first",
    response_model=Page[schemas.ReadingHour],
    responses={**BAD, **MISSING},
)
def list_hours(
    ctx: Ctx,
    thing_id: str,
    which: Filtered,
    after: HoursAfter = None,
    limit: Limit = 100,
) -> Page[schemas.ReadingHour]:
    """They stay when the datapoints go. A point whose time can't be true counts in none: one that was measured more
    than 31 days before it arrived, or a day after."""
    with ctx.database.reading() as session:
        return hours_page(session, Seen(find_thing(session, thing_id).id), which, after, limit)
