"""Calls of owners: hand a thing over to the next owner, give it up, delete its readings, renew one's token."""

from fastapi import Request, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from thermokeeper.contract import claim_codes, schemas
from thermokeeper.contract.times import now
from thermokeeper.server.http.context import CallingOwner, Ctx, limited
from thermokeeper.server.http.erasing import erase_hours, erase_points, last_point
from thermokeeper.server.http.responses import refusal
from thermokeeper.server.http.routers import owner_router
from thermokeeper.server.owner.own import OTHERS, own_thing, own_thing_locked
from thermokeeper.server.refusals import unauthorized
from thermokeeper.server.rules import audit, claims, ownership
from thermokeeper.server.secrets import hashed, matches, new_key
from thermokeeper.server.storage.models import Datapoint, Owner, Reading, Thing

router = owner_router()


@router.post(
    "/things/{thing_id}/hand-over.json",
    summary="Make the code with which another owner claims one of one's things",
    status_code=201,
    response_model=schemas.HandOver,
    responses={**OTHERS, 429: refusal("too many tries")},
)
def hand_over(ctx: Ctx, response: Response, owner_id: CallingOwner, thing_id: str) -> schemas.HandOver:
    """The code is in this answer only, good once and for 24 hours; a code that was made before isn't any more. Until
    it is used the thing stays this owner's."""
    with limited(ctx, f"owner {owner_id}", "hand-over", thing_id, owner_id):
        with ctx.database.reading() as session:
            number = own_thing(session, thing_id, owner_id).serial.number
        code = claim_codes.new_code()
        shown = claims.hash_of(code, number)
        with ctx.database.writing() as session:
            thing = own_thing_locked(session, thing_id, owner_id)
            thing.handover_hash, thing.handover_expires_at = shown, now() + ownership.HANDOVER_LIFE
            audit.note(session, _who(thing), "thing.offered", number)
            expires = thing.handover_expires_at
    response.headers["Cache-Control"] = "no-store"
    return schemas.HandOver(code=code, expires=expires)


@router.delete(
    "/things/{thing_id}/hand-over.json",
    summary="Take the code for handing a thing over back",
    status_code=204,
    responses=OTHERS,
)
def keep(ctx: Ctx, owner_id: CallingOwner, thing_id: str) -> None:
    """May be repeated. A code that was used can't be taken back: the thing is another's then, and this is a 403."""
    with ctx.database.writing() as session:
        thing = own_thing_locked(session, thing_id, owner_id)
        if thing.handover_hash is not None:
            thing.handover_hash = thing.handover_expires_at = None
            audit.note(session, _who(thing), "thing.kept", thing.serial.number)


@router.post(
    "/things/{thing_id}/release.json",
    summary="Give one of one's things up: it is nobody's then",
    status_code=204,
    responses=OTHERS,
)
def release(ctx: Ctx, owner_id: CallingOwner, thing_id: str) -> None:
    """Who has its claim code can claim it next. Its readings stay; the next owner sees none from before. Repeated, it
    is a 403: the thing isn't one's own any more."""
    with ctx.database.writing() as session:
        thing = own_thing_locked(session, thing_id, owner_id)
        ownership.give(session, thing, None, _who(thing), "thing.released")


@router.post(
    "/dms/devices/{uuid}/release.json",
    summary="Give one of one's devices that provision themselves up",
    status_code=204,
    responses={403: refusal("the device is another owner's, or nobody's"), 404: refusal("no such device")},
)
def release_own_device(ctx: Ctx, owner_id: CallingOwner, uuid: str) -> None:
    """Its thing, if it has one, is nobody's then, either."""
    with ctx.database.writing() as session:
        ownership.release_device(session, uuid, owner_id, f"owner {_name(session, owner_id)}")


@router.delete(
    "/things/{thing_id}/datapoints.json",
    summary="Delete the datapoints of one of one's things",
    response_model=schemas.Erased,
    responses=OTHERS,
)
def erase_own_datapoints(ctx: Ctx, owner_id: CallingOwner, thing_id: str) -> schemas.Erased:
    """All of one's own time. What arrives meanwhile stays. Cut off, it is simply called again."""
    with ctx.database.writing() as session:
        thing = own_thing_locked(session, thing_id, owner_id)
        after, until = thing.readings_after or 0, last_point(session, thing_id)
        had_another = thing.readings_after is not None
        for reading in thing.readings:
            _back_to_former(session, reading, after)
        erase_hours(session, thing_id, thing.owned_since if had_another else None)
        audit.note(session, _who(thing), "thing.erased", thing.serial.number)
    return schemas.Erased(datapoints=erase_points(ctx, thing_id, after, until))


@router.post(
    "/token/renew.json",
    summary="Renew one's own token: the old one opens nothing any more",
    response_model=schemas.Token,
)
def renew_own_token(ctx: Ctx, request: Request, response: Response, owner_id: CallingOwner) -> schemas.Token:
    """The new one is in this answer only. If that is lost, the vendor makes another."""
    token = new_key()
    with ctx.database.writing() as session:
        owner = session.scalar(select(Owner).where(Owner.id == owner_id).with_for_update())
        # of two such calls at once one comes too late
        if owner is None or not matches(request.headers.get("X-OwnerToken", ""), owner.token_hash):
            raise unauthorized("X-OwnerToken")
        owner.token_hash = hashed(token)
        audit.note(session, f"owner {owner.name}", "owner.token_renewed", owner.name)
    response.headers["Cache-Control"] = "no-store"
    return schemas.Token(token=token)


def _who(thing: Thing) -> str:
    assert thing.owner is not None
    return f"owner {thing.owner.name}"


def _name(session: Session, owner_id: str) -> str:
    owner = session.get(Owner, owner_id)
    if owner is None:  # removed just now
        raise unauthorized("X-OwnerToken")
    return owner.name


def _back_to_former(session: Session, reading: Reading, after: int) -> None:
    """The last reading is the last of a former owner's time, as the vendor sees it; or none, if there was none."""
    points = select(Datapoint).where(Datapoint.thing_id == reading.thing_id, Datapoint.event == reading.event)
    last = session.scalar(points.where(Datapoint.id <= after).order_by(Datapoint.id.desc()).limit(1))
    if reading.former == 0 or last is None:
        session.delete(reading)
    else:
        reading.count, reading.value, reading.at = reading.former, last.value, last.at
