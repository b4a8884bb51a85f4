"""Calls of owners: claim a device by its serial number, see one's things and what they measure."""

from typing import Annotated

from fastapi import Query, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from thermokeeper.contract import schemas
from thermokeeper.contract.fields import WORD_PATTERN, is_serial_number
from thermokeeper.contract.schemas import Page
from thermokeeper.server.http.context import CallingOwner, Context, Ctx, limited
from thermokeeper.server.http.pages import After, Limit, page_of
from thermokeeper.server.http.responses import Responses, document, refusal
from thermokeeper.server.http.routers import BAD, owner_router
from thermokeeper.server.http.things import datapoints_page
from thermokeeper.server.refusals import ApiError, blocked, conflict, not_found
from thermokeeper.server.rules import audit, dms_standing, names, registry
from thermokeeper.server.rules.dms_provisioning import device_row
from thermokeeper.server.rules.rows import clean, find_thing, serial_row
from thermokeeper.server.storage.models import Owner, Serial, Thing

router = owner_router()

OTHERS: Responses = {
    403: refusal("the thing is another owner's, or nobody's"),
    404: refusal("no such thing"),
}


@router.post(
    "/claims.json",
    summary="Claim a device by its serial number",
    status_code=201,
    response_model=schemas.OwnedThing,
    responses={
        200: document(schemas.OwnedThing, "it was this owner's already"),
        400: refusal("malformed request, or name not allowed"),
        403: refusal("the serial number is blocked"),
        404: refusal("no such serial number"),
        409: refusal("another owner has claimed it, or another thing of one's own has this name"),
        429: refusal("too many tries"),
    },
)
def claim(ctx: Ctx, response: Response, owner_id: CallingOwner, body: schemas.ClaimRequest) -> schemas.OwnedThing:
    """Makes the thing if the device has not called yet. A name that is given is taken; otherwise one is generated
    for a new thing, and an existing one keeps its own, with a number if another of one's things has it."""
    number = body.serial_number
    with limited(ctx, f"owner {owner_id}", "claim", number, owner_id), ctx.database.writing() as session:
        if not is_serial_number(number):
            raise not_found("serial number")
        device = device_row(session, number)  # the number is a uuid then
        serial = serial_row(session, number)
        if serial.blocked:
            raise blocked()
        thing = serial.thing
        if thing is not None and thing.owner_id not in (None, owner_id):
            raise conflict("claimed", "another owner has claimed this serial number")
        if thing is not None and thing.owner_id == owner_id:
            response.status_code = 200
        owner = session.get(Owner, owner_id)
        assert owner is not None
        if device is not None:
            dms_standing.claim(session, device, owner)
        elif thing is None or thing.owner_id is None:
            audit.note(session, f"owner {owner.name}", "serial.claimed", number)
        if thing is None:
            thing = registry.new_thing(session, serial, body.name)
        names.own(session, thing, owner_id, body.name)
        return owned_thing(ctx, thing)


@router.get(
    "/things.json",
    summary="List one's things, by serial number",
    response_model=Page[schemas.OwnedThing],
    responses=BAD,
)
def list_own_things(
    ctx: Ctx, owner_id: CallingOwner, after: After = None, limit: Limit = 100
) -> Page[schemas.OwnedThing]:
    with ctx.database.reading() as session:
        rows = select(Thing).join(Thing.serial).where(Thing.owner_id == owner_id).order_by(Serial.number)
        rows = rows.where(Serial.number > (clean(after) or "")).options(*registry.whole_things())
        found, following = page_of(session, rows, limit, lambda row: row.serial.number)
        return Page(items=[owned_thing(ctx, row) for row in found], next=following)


@router.get(
    "/things/{thing_id}.json",
    summary="Get one of one's things",
    response_model=schemas.OwnedThing,
    responses=OTHERS,
)
def get_own_thing(ctx: Ctx, owner_id: CallingOwner, thing_id: str) -> schemas.OwnedThing:
    with ctx.database.reading() as session:
        return owned_thing(ctx, own_thing(session, thing_id, owner_id))


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
    event: Annotated[str | None, Query(pattern=WORD_PATTERN)] = None,
    after: After = None,
    limit: Limit = 100,
) -> Page[schemas.Datapoint]:
    with ctx.database.reading() as session:
        return datapoints_page(session, own_thing(session, thing_id, owner_id), event, after, limit)


def own_thing(session: Session, thing_id: str, owner_id: str) -> Thing:
    """ApiError 404, or 403 if it isn't this owner's."""
    thing = find_thing(session, thing_id)
    if thing.owner_id != owner_id:
        raise ApiError(403, "forbidden", "this thing is not yours")
    return thing


def owned_thing(ctx: Context, thing: Thing) -> schemas.OwnedThing:
    return schemas.OwnedThing(
        id=thing.id,
        name=thing.name,
        serial_number=thing.serial.number,
        product=thing.serial.product.code,
        current_version=registry.summary_or_none(thing.current_version),
        target_version=registry.summary_or_none(registry.target_of(thing.serial)),
        target_by_owner=thing.serial.target_by_owner,
        last_seen=ctx.sightings.of_thing(thing),
        readings=registry.readings(thing),
    )
