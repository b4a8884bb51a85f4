"""Calls of the vendor: provisioning tokens, the devices that came by them, owners' access to products."""

from typing import Annotated, cast

from fastapi import Path, Response
from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from thermokeeper.contract import dms_schemas
from thermokeeper.contract.schemas import Page
from thermokeeper.contract.times import now
from thermokeeper.server.http.context import Context, Ctx
from thermokeeper.server.http.pages import After, Limit, no_page, page_of
from thermokeeper.server.http.responses import refusal
from thermokeeper.server.http.routers import BAD, MISSING, vendor_router
from thermokeeper.server.refusals import ApiError
from thermokeeper.server.rules import audit
from thermokeeper.server.rules.dms_provisioning import blocked_of, token_state
from thermokeeper.server.rules.dms_standing import access_of, state_of, thing_of, whole_devices
from thermokeeper.server.rules.rows import clean, existing, find_owner, find_product, open_product
from thermokeeper.server.secrets import hashed, new_key
from thermokeeper.server.storage.dms_models import DmsDevice, ProductAccess, ProvisioningToken, TokenUse

router = vendor_router()

UuidInPath = Annotated[str, Path(alias="uuid", examples=["6fa1c0de-2c4b-8d1e-9a30-0d2b5e7f9c11"])]

# -- tokens ------------------------------------------------------------------------------------------------------------


@router.post(
    "/dms/tokens.json",
    summary="Create a provisioning token",
    status_code=201,
    response_model=dms_schemas.NewDmsToken,
    responses=BAD,
)
def create_dms_token(ctx: Ctx, response: Response, body: dms_schemas.DmsTokenRequest) -> dms_schemas.NewDmsToken:
    """The token is in this answer only. One with a uuid makes that device known: an owner can claim it at once."""
    if body.expires is not None and body.expires <= now():
        raise ApiError(400, "bad_request", "body.expires: lies in the past")
    secret = new_key()
    with ctx.database.writing() as session:
        token = ProvisioningToken(
            name=body.name or "",
            token_hash=hashed(secret),
            uuid=body.uuid,
            uses=body.uses,
            expires_at=body.expires,
            created_at=now(),
        )
        session.add(token)
        if body.uuid is not None and session.get(DmsDevice, body.uuid) is None:
            session.add(DmsDevice(uuid=body.uuid))
        session.flush()
        kind = f"for device {body.uuid}" if body.uuid else f"{body.uses} use{'s' if body.uses > 1 else ''}"
        audit.changed(session, "token.created", token.id, kind)
        response.headers["Cache-Control"] = "no-store"
        return dms_schemas.NewDmsToken(**dict(_token_json(token, 0)), token=secret)


@router.get(
    "/dms/tokens.json",
    summary="List the provisioning tokens, oldest first",
    response_model=Page[dms_schemas.DmsToken],
    responses=BAD,
)
def list_dms_tokens(ctx: Ctx, after: After = None, limit: Limit = 100) -> Page[dms_schemas.DmsToken]:
    with ctx.database.reading() as session:
        rows = select(ProvisioningToken).order_by(ProvisioningToken.created_at, ProvisioningToken.id)
        if after is not None:
            last = session.get(ProvisioningToken, clean(after))
            if last is None:
                raise no_page()
            same_moment = and_(ProvisioningToken.created_at == last.created_at, ProvisioningToken.id > last.id)
            rows = rows.where(or_(ProvisioningToken.created_at > last.created_at, same_moment))
        found, following = page_of(session, rows, limit, lambda token: token.id)
        counts = _acknowledged(session, [token.id for token in found])
        return Page(items=[_token_json(token, counts.get(token.id, 0)) for token in found], next=following)


@router.post(
    "/dms/tokens/{token_id}/revoke.json",
    summary="Revoke a provisioning token",
    response_model=dms_schemas.DmsToken,
    responses=MISSING,
)
def revoke_dms_token(ctx: Ctx, token_id: str) -> dms_schemas.DmsToken:
    """Devices that it provisioned and that have acknowledged keep their credentials; the others have to begin again,
    with another token. May be repeated."""
    with ctx.database.writing() as session:
        wanted = select(ProvisioningToken).where(ProvisioningToken.id == clean(token_id))
        token = existing(session.scalar(wanted.with_for_update(key_share=True)), "provisioning token")
        if token.revoked_at is None:
            token.revoked_at = now()
            audit.changed(session, "token.revoked", token.id)
        return _token_json(token, _acknowledged(session, [token.id]).get(token.id, 0))


def _acknowledged(session: Session, token_ids: list[str]) -> dict[str, int]:
    """By how many devices each token is acknowledged."""
    rows = (
        select(TokenUse.token_id, func.count())
        .where(TokenUse.token_id.in_(token_ids), TokenUse.acknowledged_at.is_not(None))
        .group_by(TokenUse.token_id)
    )
    return {row[0]: row[1] for row in session.execute(rows)}


def _token_json(row: ProvisioningToken, acknowledged: int) -> dms_schemas.DmsToken:
    return dms_schemas.DmsToken(
        id=row.id,
        name=row.name,
        state=cast(dms_schemas.DmsTokenState, token_state(row)),
        uuid=row.uuid,
        uses=row.uses,
        taken=row.taken,
        acknowledged=acknowledged,
        expires=row.expires_at,
        revoked=row.revoked_at,
        created=row.created_at,
    )


# -- devices -----------------------------------------------------------------------------------------------------------


@router.get(
    "/dms/devices.json",
    summary="List the devices that provision themselves, by uuid",
    response_model=Page[dms_schemas.DmsDevice],
    responses=BAD,
)
def list_dms_devices(ctx: Ctx, after: After = None, limit: Limit = 100) -> Page[dms_schemas.DmsDevice]:
    with ctx.database.reading() as session:
        rows = select(DmsDevice).where(DmsDevice.uuid > (clean(after) or "")).order_by(DmsDevice.uuid)
        found, following = page_of(session, rows.options(*whole_devices()), limit, lambda row: row.uuid)
        blocked = blocked_of(session, [row.uuid for row in found])
        return Page(items=[_device_json(ctx, row, blocked) for row in found], next=following)


@router.get(
    "/dms/devices/{uuid}.json",
    summary="Get a device that provisions itself",
    response_model=dms_schemas.DmsDevice,
    responses=MISSING,
)
def get_dms_device(ctx: Ctx, uuid: UuidInPath) -> dms_schemas.DmsDevice:
    with ctx.database.reading() as session:
        row = existing(session.get(DmsDevice, clean(uuid)), "device")
        return _device_json(ctx, row, blocked_of(session, [row.uuid]))


def _device_json(ctx: Context, row: DmsDevice, blocked: set[str]) -> dms_schemas.DmsDevice:
    thing = thing_of(row)
    return dms_schemas.DmsDevice(
        uuid=row.uuid,
        state=state_of(row, blocked),
        offered=row.offered_hash is not None,
        owner=row.owner.name if row.owner is not None else None,
        product=row.serial.product.code if row.serial is not None else None,
        thing=thing.id if thing is not None else None,
        token=row.token_id or row.offered_token_id,
        created=row.created_at,
        acknowledged=row.acknowledged_at,
        last_seen=ctx.sightings.of_device(row),
    )


# -- access ------------------------------------------------------------------------------------------------------------


@router.get(
    "/owners/{owner_id}/products.json",
    summary="List the products that an owner has access to",
    response_model=list[dms_schemas.ProductAccess],
    responses=MISSING,
)
def list_access(ctx: Ctx, owner_id: str) -> list[dms_schemas.ProductAccess]:
    with ctx.database.reading() as session:
        return access_of(session, find_owner(session, owner_id).id)


@router.put(
    "/owners/{owner_id}/products/{code}.json",
    summary="Grant an owner access to a product",
    response_model=list[dms_schemas.ProductAccess],
    responses={**MISSING, 409: refusal("the product is retired")},
)
def grant_access(ctx: Ctx, owner_id: str, code: str) -> list[dms_schemas.ProductAccess]:
    """Devices that the owner has claimed may then be activated to it. May be repeated."""
    with ctx.database.writing() as session:
        owner, product = find_owner(session, owner_id), open_product(session, code)
        if session.get(ProductAccess, (owner.id, product.id)) is None:
            session.add(ProductAccess(owner_id=owner.id, product_id=product.id))
            session.flush()
            audit.changed(session, "access.granted", owner.name, f"product {product.code}")
        return access_of(session, owner.id)


@router.delete(
    "/owners/{owner_id}/products/{code}.json",
    summary="Withdraw an owner's access to a product",
    response_model=list[dms_schemas.ProductAccess],
    responses=MISSING,
)
def withdraw_access(ctx: Ctx, owner_id: str, code: str) -> list[dms_schemas.ProductAccess]:
    """Devices that are activated to it stay so; no other can be. May be repeated."""
    with ctx.database.writing() as session:
        owner, product = find_owner(session, owner_id), find_product(session, code)
        access = session.get(ProductAccess, (owner.id, product.id))
        if access is not None:
            session.delete(access)
            session.flush()
            audit.changed(session, "access.withdrawn", owner.name, f"product {product.code}")
        return access_of(session, owner.id)
