"""Calls of owners: claim a device that provisions itself, see one's devices and what they may be activated to."""

from fastapi import Response
from sqlalchemy import select

from thermokeeper.contract import dms_schemas
from thermokeeper.contract.schemas import Page
from thermokeeper.server.http.context import CallingOwner, Context, Ctx, limited
from thermokeeper.server.http.pages import After, Limit, page_of
from thermokeeper.server.http.responses import document, refusal
from thermokeeper.server.http.routers import BAD, owner_router
from thermokeeper.server.rules import dms_standing
from thermokeeper.server.rules.dms_provisioning import blocked_of, device_row
from thermokeeper.server.rules.rows import clean, existing
from thermokeeper.server.storage.dms_models import DmsDevice
from thermokeeper.server.storage.models import Owner

router = owner_router()


@router.post(
    "/dms/claims.json",
    summary="Claim a device that provisions itself by its uuid",
    status_code=201,
    response_model=dms_schemas.OwnedDmsDevice,
    responses={
        200: document(dms_schemas.OwnedDmsDevice, "it was this owner's already"),
        400: refusal("malformed request"),
        403: refusal("the device is blocked"),
        404: refusal("no such device: it has not called yet, and has no token of its own"),
        409: refusal("another owner has claimed it"),
        429: refusal("too many tries"),
    },
)
def claim_device(
    ctx: Ctx, response: Response, owner_id: CallingOwner, body: dms_schemas.DmsClaimRequest
) -> dms_schemas.OwnedDmsDevice:
    """It can then be activated to the products that the owner has access to."""
    with limited(ctx, f"owner {owner_id}", "claim", body.uuid, owner_id), ctx.database.writing() as session:
        device = existing(device_row(session, clean(body.uuid) or ""), "device")
        owner = session.get(Owner, owner_id)
        assert owner is not None
        if not dms_standing.claim(session, device, owner):
            response.status_code = 200
        session.flush()
        return _json(ctx, device, blocked_of(session, [device.uuid]))


@router.get(
    "/dms/devices.json",
    summary="List one's devices that provision themselves, by uuid",
    response_model=Page[dms_schemas.OwnedDmsDevice],
    responses=BAD,
)
def list_own_devices(
    ctx: Ctx, owner_id: CallingOwner, after: After = None, limit: Limit = 100
) -> Page[dms_schemas.OwnedDmsDevice]:
    with ctx.database.reading() as session:
        rows = select(DmsDevice).where(DmsDevice.owner_id == owner_id, DmsDevice.uuid > (clean(after) or ""))
        rows = rows.order_by(DmsDevice.uuid).options(*dms_standing.whole_devices())
        found, following = page_of(session, rows, limit, lambda row: row.uuid)
        blocked = blocked_of(session, [row.uuid for row in found])
        return Page(items=[_json(ctx, row, blocked) for row in found], next=following)


@router.get(
    "/products.json",
    summary="List the products that one has access to",
    response_model=list[dms_schemas.ProductAccess],
)
def list_own_products(ctx: Ctx, owner_id: CallingOwner) -> list[dms_schemas.ProductAccess]:
    with ctx.database.reading() as session:
        return dms_standing.access_of(session, owner_id)


def _json(ctx: Context, row: DmsDevice, blocked: set[str]) -> dms_schemas.OwnedDmsDevice:
    thing = dms_standing.thing_of(row)
    return dms_schemas.OwnedDmsDevice(
        uuid=row.uuid,
        state=dms_standing.state_of(row, blocked),
        product=row.serial.product.code if row.serial is not None else None,
        thing=thing.id if thing is not None else None,
        last_seen=ctx.sightings.of_device(row),
    )
