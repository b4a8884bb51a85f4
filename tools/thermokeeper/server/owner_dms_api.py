"""Calls of owners: claim a device that provisions itself, see one's devices and what they may be activated to."""

from fastapi import APIRouter, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from thermokeeper.server import dms_schemas, dms_standing
from thermokeeper.server.context import CallingOwner, Ctx, limited
from thermokeeper.server.dms_models import DmsDevice
from thermokeeper.server.dms_provisioning import device_row
from thermokeeper.server.errors import not_found
from thermokeeper.server.models import Owner
from thermokeeper.server.schemas import ErrorBody, Page, document
from thermokeeper.server.vendor_common import After, Limit, clean
from thermokeeper.server.vendor_dms_api import access_of

router = APIRouter(
    prefix="/v1/owner", tags=["owners"], responses={401: document(ErrorBody, "owner token missing or wrong")}
)


@router.post(
    "/dms/claims.json",
    summary="Claim a device that provisions itself by its uuid",
    status_code=201,
    response_model=dms_schemas.OwnedDmsDevice,
    responses={
        200: document(dms_schemas.OwnedDmsDevice, "it was this owner's already"),
        400: document(ErrorBody, "malformed request"),
        403: document(ErrorBody, "the device is blocked"),
        404: document(ErrorBody, "no such device: it has not called yet, and has no token of its own"),
        409: document(ErrorBody, "another owner has claimed it"),
        429: document(ErrorBody, "too many tries"),
    },
)
def claim_device(
    ctx: Ctx, response: Response, owner_id: CallingOwner, body: dms_schemas.DmsClaimRequest
) -> dms_schemas.OwnedDmsDevice:
    """It can then be activated to the products that the owner has access to."""
    with limited(ctx, f"owner {owner_id}", body.uuid), ctx.database.writing() as session:
        device = device_row(session, clean(body.uuid) or "")
        if device is None:
            raise not_found("device")
        owner = session.get(Owner, owner_id)
        assert owner is not None
        if not dms_standing.claim(session, device, owner):
            response.status_code = 200
        session.flush()
        return _json(session, device)


@router.get(
    "/dms/devices.json",
    summary="List one's devices that provision themselves, by uuid",
    response_model=Page[dms_schemas.OwnedDmsDevice],
    responses={400: document(ErrorBody, "malformed request")},
)
def list_own_devices(
    ctx: Ctx, owner_id: CallingOwner, after: After = None, limit: Limit = 100
) -> Page[dms_schemas.OwnedDmsDevice]:
    with ctx.database.reading() as session:
        rows = select(DmsDevice).where(DmsDevice.owner_id == owner_id, DmsDevice.uuid > (clean(after) or ""))
        found = list(session.scalars(rows.order_by(DmsDevice.uuid).limit(limit + 1)))
        items = [_json(session, row) for row in found[:limit]]
        return Page(items=items, next=items[-1].uuid if len(found) > limit else None)


@router.get(
    "/products.json",
    summary="List the products that one has access to",
    response_model=list[dms_schemas.ProductAccess],
)
def list_own_products(ctx: Ctx, owner_id: CallingOwner) -> list[dms_schemas.ProductAccess]:
    with ctx.database.reading() as session:
        return access_of(session, owner_id)


def _json(session: Session, row: DmsDevice) -> dms_schemas.OwnedDmsDevice:
    thing = dms_standing.thing_of(row)
    return dms_schemas.OwnedDmsDevice(
        uuid=row.uuid,
        state=dms_standing.state_of(session, row),
        product=row.serial.product.code if row.serial is not None else None,
        thing=thing.id if thing is not None else None,
        last_seen=row.last_seen_at,
    )
