"""Calls of the vendor: which things a version failed on, and why."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Select, and_, or_, select
from sqlalchemy.orm import joinedload

from thermokeeper.contract import schemas
from thermokeeper.contract.schemas import Page
from thermokeeper.server.http.context import Context, Ctx
from thermokeeper.server.http.pages import After, Limit, no_page, page_of, row_number
from thermokeeper.server.http.routers import BAD, MISSING, vendor_router
from thermokeeper.server.rules.failures import failure_json
from thermokeeper.server.rules.rows import find_template, find_version
from thermokeeper.server.storage.models import Thing, UpdateFailure

router = vendor_router()

_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


@router.get(
    "/templates/{template_id}/failures.json",
    summary="List the updates that failed on the things of a template, last told first",
    response_model=Page[schemas.FailureOfThing],
    responses={**BAD, **MISSING},
)
def list_failures_of_template(
    ctx: Ctx, template_id: str, after: After = None, limit: Limit = 100
) -> Page[schemas.FailureOfThing]:
    with ctx.database.reading() as session:
        rows = select(UpdateFailure).where(UpdateFailure.template_id == find_template(session, template_id).id)
    return _page(ctx, rows, after, limit)


@router.get(
    "/versions/{version_id}/failures.json",
    summary="List the things on which a version failed, last told first",
    response_model=Page[schemas.FailureOfThing],
    responses={**BAD, **MISSING},
)
def list_failures_of_version(
    ctx: Ctx, version_id: str, after: After = None, limit: Limit = 100
) -> Page[schemas.FailureOfThing]:
    with ctx.database.reading() as session:
        rows = select(UpdateFailure).where(UpdateFailure.version_id == find_version(session, version_id).id)
    return _page(ctx, rows, after, limit)


def _page(ctx: Context, rows: Select[UpdateFailure], after: str | None, limit: int) -> Page[schemas.FailureOfThing]:
    with ctx.database.reading() as session:
        if after is not None:
            at, number = _place(after)
            same_moment = and_(UpdateFailure.last_at == at, UpdateFailure.id < number)
            rows = rows.where(UpdateFailure.last_at <= at, or_(UpdateFailure.last_at < at, same_moment))
        rows = rows.order_by(UpdateFailure.last_at.desc(), UpdateFailure.id.desc())
        rows = rows.options(joinedload(UpdateFailure.thing).joinedload(Thing.serial))
        found, following = page_of(session, rows, limit, _mark)
        return Page(items=[_json(row) for row in found], next=following)


def _mark(row: UpdateFailure) -> str:
    return f"{(row.last_at - _BEGIN) // _MS}-{row.id}"


def _place(after: str) -> tuple[datetime, int]:
    """What `_mark` made. ApiError 400 if it is something else."""
    moment, _, number = after.partition("-")
    try:
        return _BEGIN + row_number(moment) * _MS, row_number(number)
    except OverflowError:
        raise no_page() from None


def _json(row: UpdateFailure) -> schemas.FailureOfThing:
    return schemas.FailureOfThing(**dict(failure_json(row)), thing=row.thing_id, serial_number=row.thing.serial.number)
