"""Calls of the vendor: whose a thing is, owners' tokens, and owners that go."""

from fastapi import Response
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from thermokeeper.contract import schemas
from thermokeeper.server.http.context import Ctx
from thermokeeper.server.http.responses import Responses, refusal
from thermokeeper.server.http.routers import BAD, vendor_router
from thermokeeper.server.refusals import conflict
from thermokeeper.server.rules import audit, ownership
from thermokeeper.server.rules.rows import clean, existing, find_owner
from thermokeeper.server.secrets import hashed, new_key
from thermokeeper.server.storage.dms_models import DmsDevice, ProductAccess
from thermokeeper.server.storage.models import Owner, Thing

router = vendor_router()

_NO_OWNER: Responses = {404: refusal("no such owner")}


@router.put(
    "/things/{thing_id}/owner.json",
    summary="Give a thing to an owner, whoever has it",
    status_code=204,
    responses={**BAD, 404: refusal("no such thing or owner")},
)
def give_thing(ctx: Ctx, thing_id: str, body: schemas.NewHolder) -> None:
    """He sees what is measured from now on. May be repeated."""
    with ctx.database.writing() as session:
        thing = ownership.locked(session, thing_id)
        ownership.give(session, thing, find_owner(session, body.owner), audit.VENDOR, "thing.given")


@router.delete(
    "/things/{thing_id}/owner.json",
    summary="Take the owner off a thing: it is nobody's then",
    status_code=204,
    responses={404: refusal("no such thing")},
)
def release_thing(ctx: Ctx, thing_id: str) -> None:
    """May be repeated. Who has its claim code can claim it next."""
    with ctx.database.writing() as session:
        ownership.give(session, ownership.locked(session, thing_id), None, audit.VENDOR, "thing.released")


@router.delete(
    "/dms/devices/{uuid}/owner.json",
    summary="Take the owner off a device that provisions itself",
    status_code=204,
    responses={404: refusal("no such device")},
)
def release_dms_device(ctx: Ctx, uuid: str) -> None:
    """Off its thing, too, if it has one. May be repeated."""
    with ctx.database.writing() as session:
        ownership.release_device(session, uuid, None, audit.VENDOR)


@router.post(
    "/owners/{owner_id}/token/renew.json",
    summary="Make an owner another token: the old one opens nothing any more",
    response_model=schemas.NewOwner,
    responses=_NO_OWNER,
)
def renew_token(ctx: Ctx, response: Response, owner_id: str) -> schemas.NewOwner:
    """The token is in this answer only. If that is lost: once more."""
    token = new_key()
    with ctx.database.writing() as session:
        owner = _set_token(session, owner_id, token, "owner.token_renewed")
        response.headers["Cache-Control"] = "no-store"
        return schemas.NewOwner(id=owner.id, name=owner.name, created=owner.created_at, token=token)


@router.post(
    "/owners/{owner_id}/token/revoke.json",
    summary="Revoke an owner's token",
    status_code=204,
    responses=_NO_OWNER,
)
def revoke_token(ctx: Ctx, owner_id: str) -> None:
    """He keeps what he has, and can do nothing until he gets another. May be repeated."""
    with ctx.database.writing() as session:
        _set_token(session, owner_id, new_key(), "owner.token_revoked")  # which nobody is told


@router.delete(
    "/owners/{owner_id}.json",
    summary="Remove an owner account that has no things",
    status_code=204,
    responses={**_NO_OWNER, 409: refusal("it has things or devices: take it off these, or give them to another")},
)
def delete_owner(ctx: Ctx, owner_id: str) -> None:
    """Which products it had access to is forgotten with it; the audit still names it."""
    with ctx.database.writing() as session:
        owner = _locked(session, owner_id)
        things = session.scalar(select(func.count()).where(Thing.owner_id == owner.id)) or 0
        devices = session.scalar(select(func.count()).where(DmsDevice.owner_id == owner.id)) or 0
        if things or devices:
            raise conflict(
                "in_use",
                f"this owner has {things} things and {devices} devices that provision themselves: take him off with "
                "`thermokeeper thing release` and `thermokeeper dms device release`, or give them to another with "
                "`thermokeeper thing hand-over`",
            )
        session.execute(delete(ProductAccess).where(ProductAccess.owner_id == owner.id))
        session.delete(owner)
        audit.changed(session, "owner.deleted", owner.name)


def _locked(session: Session, owner_id: str) -> Owner:
    wanted = select(Owner).where(Owner.id == clean(owner_id)).with_for_update()
    return existing(session.scalar(wanted), "owner")


def _set_token(session: Session, owner_id: str, token: str, what: str) -> Owner:
    owner = _locked(session, owner_id)
    owner.token_hash = hashed(token)
    audit.changed(session, what, owner.name)
    return owner
