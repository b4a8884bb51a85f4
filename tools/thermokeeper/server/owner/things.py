"""Calls of owners: claim a device by its serial number, see one's things."""

from fastapi import Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from thermokeeper.contract import schemas
from thermokeeper.contract.fields import is_serial_number
from thermokeeper.contract.schemas import Page
from thermokeeper.server.http.context import CallingOwner, Ctx, limited
from thermokeeper.server.http.pages import After, Limit, page_of
from thermokeeper.server.http.responses import document, refusal
from thermokeeper.server.http.routers import BAD, owner_router
from thermokeeper.server.owner.own import OTHERS, own_thing, owned_thing
from thermokeeper.server.refusals import blocked, unauthorized
from thermokeeper.server.rules import audit, claims, names, ownership, registry
from thermokeeper.server.rules.dms_provisioning import device_row
from thermokeeper.server.rules.rows import clean, find_serial
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
        403: refusal("the claim code is missing or wrong, or the serial number is blocked"),
        404: refusal("no such serial number"),
        409: refusal("another owner has claimed it, or another thing of one's own has this name"),
        429: refusal("too many tries"),
    },
)
def claim(ctx: Ctx, response: Response, owner_id: CallingOwner, body: schemas.ClaimRequest) -> schemas.OwnedThing:
    """Makes the thing if the device has not called yet. A name that is given is taken; otherwise one is generated
    for a new thing, and an existing one keeps its own, with a number if another of one's things has it. A serial number
    with a claim code takes that; a thing of another owner takes the one that he has made to hand it over."""
    number = body.serial_number
    with limited(ctx, f"owner {owner_id}", "claim", number, owner_id):
        shown = claims.hash_of(body.claim_code, number)
        with ctx.database.writing() as session:
            thing, was_his = _claim(session, owner_id, number, body.name, shown)
            if was_his:
                response.status_code = 200
            return owned_thing(ctx, thing)


def _claim(session: Session, owner_id: str, number: str, name: str | None, shown: str | None) -> tuple[Thing, bool]:
    """The thing, the owner's now, and whether it was before. ApiError 403, 404, 409."""
    device = device_row(session, number) if is_serial_number(number) else None  # the number is a uuid then
    serial = find_serial(session, number) if is_serial_number(number) else None
    if serial is None:
        raise claims.unknown(session, shown)
    thing = serial.thing
    claims.check(serial, thing, device, owner_id, shown)
    if serial.blocked:
        raise blocked()
    owner = session.get(Owner, owner_id)
    if owner is None:  # removed just now
        raise unauthorized("X-OwnerToken")
    who = f"owner {owner.name}"
    was_named = thing.name if thing is not None else name
    if thing is None:
        thing = registry.new_thing(session, serial, name)
    was_his = thing.owner_id == owner_id
    if was_his:
        names.own(session, thing, owner_id, name)
    else:
        what = "device.claimed" if device is not None else "serial.claimed"
        ownership.give(session, thing, owner, who, what, name)
    if name is not None and name != was_named:
        audit.note(session, who, "thing.renamed", number, name)
    return thing, was_his


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
