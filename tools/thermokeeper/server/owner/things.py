"""Calls of owners: claim a device by its serial number, see one's things."""

from fastapi import Response
from sqlalchemy import select

from thermokeeper.contract import schemas
from thermokeeper.contract.fields import is_serial_number
from thermokeeper.contract.schemas import Page
from thermokeeper.server.http.context import CallingOwner, Ctx, limited
from thermokeeper.server.http.pages import After, Limit, page_of
from thermokeeper.server.http.responses import document, refusal
from thermokeeper.server.http.routers import BAD, owner_router
from thermokeeper.server.owner.own import OTHERS, own_thing, owned_thing
from thermokeeper.server.refusals import blocked, conflict, not_found
from thermokeeper.server.rules import audit, dms_standing, names, registry
from thermokeeper.server.rules.dms_provisioning import device_row
from thermokeeper.server.rules.rows import clean, serial_row
from thermokeeper.server.storage.models import Owner, Serial, Thing

router = owner_router()


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
        elif body.name is not None and body.name != thing.name:
            audit.note(session, f"owner {owner.name}", "thing.renamed", number, body.name)
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
