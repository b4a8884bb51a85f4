"""Who has a device, which products its owner has access to, and the product that it is activated to."""

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload
from sqlalchemy.sql.base import ExecutableOption

from thermokeeper.contract import dms_schemas
from thermokeeper.contract.times import now
from thermokeeper.server.refusals import ApiError, blocked, conflict
from thermokeeper.server.rules import audit, names, ownership, registry
from thermokeeper.server.rules.dms_provisioning import device_row, is_blocked
from thermokeeper.server.rules.rows import clean
from thermokeeper.server.storage.dms_models import DmsDevice, ProductAccess
from thermokeeper.server.storage.models import Owner, Product, Serial, Thing


def whole_devices() -> list[ExecutableOption]:
    """What a list of devices needs of other tables, fetched for all of a page at once."""
    serial = joinedload(DmsDevice.serial)
    return [joinedload(DmsDevice.owner), serial.joinedload(Serial.product), serial.joinedload(Serial.thing)]


def state_of(device: DmsDevice, blocked: set[str]) -> dms_schemas.DmsDeviceState:
    """blocked: the uuids of those that are, see `dms_provisioning.blocked_of`."""
    if device.uuid in blocked:
        return "blocked"
    if device.serial_id is not None:
        return "activated"
    if device.acknowledged_at is not None:
        return "acknowledged"
    return "provisioned" if device.offered_hash is not None else "new"


def thing_of(device: DmsDevice) -> Thing | None:
    return device.serial.thing if device.serial is not None else None


def claim(session: Session, device: DmsDevice, owner: Owner) -> bool:
    """Make the device the owner's; whether it wasn't yet. ApiError 403, 409. The device's row must be locked."""
    if is_blocked(session, device.uuid):
        raise blocked()
    serial = session.scalar(select(Serial).where(Serial.number == device.uuid).with_for_update())
    thing = serial.thing if serial is not None else None  # the vendor may have made it before
    for taken_by in (device.owner_id, thing.owner_id if thing is not None else None):
        if taken_by not in (None, owner.id):
            raise conflict("claimed", "another owner has claimed this device")
    if device.owner_id == owner.id:
        return False
    if serial is not None and serial.claim_hash is not None:
        message = "it has a claim code: claim it by the serial number and that, at /v1/owner/claims.json"
        raise ApiError(403, "claim_code_required", message)
    if thing is not None:
        ownership.give(session, thing, owner, f"owner {owner.name}", "device.claimed")
        return True
    device.owner_id = owner.id
    audit.note(session, f"owner {owner.name}", "device.claimed", device.uuid)
    return True


def access_of(session: Session, owner_id: str) -> list[dms_schemas.ProductAccess]:
    rows = select(ProductAccess).join(ProductAccess.product).where(ProductAccess.owner_id == owner_id)
    return [
        dms_schemas.ProductAccess(product=row.product.code, name=row.product.name, granted=row.granted_at)
        for row in session.scalars(rows.order_by(Product.code))
    ]


def activate(session: Session, uuid: str, code: str) -> Serial:
    """The device's serial, of the product with that code; made or moved if it must be. ApiError 403, 404.

    An activation that is repeated is not refused when the access was withdrawn since: that is for new ones.
    """
    product = session.scalar(select(Product).where(Product.code == clean(code)))
    if product is None or product.retired:  # which has no live devices
        raise ApiError(404, "not_found", "there is no product with this code")
    device = device_row(session, uuid)
    assert device is not None
    serial = device.serial
    if serial is None or serial.product_id != product.id:
        _check_access(session, device, product)
        serial = _put_into(session, device, product)
    thing = serial.thing
    assert thing is not None
    thing.last_activation_at = thing.last_seen_at = now()
    thing.activation_count += 1
    return serial


def _check_access(session: Session, device: DmsDevice, product: Product) -> None:
    rule = "it must be claimed by a user with access to the product"
    if device.owner_id is None:
        raise ApiError(403, "not_claimed", f"nobody has claimed this device: {rule}")
    if session.get(ProductAccess, (device.owner_id, product.id)) is None:
        raise ApiError(403, "no_access", f"who has claimed this device has no access to this product: {rule}")


def _put_into(session: Session, device: DmsDevice, product: Product) -> Serial:
    """Its thing keeps id and name when it moves, not what belongs to the former product: versions, a template."""
    serial = session.scalar(select(Serial).where(Serial.number == device.uuid).with_for_update())
    former = None
    if serial is None:
        serial = Serial(number=device.uuid, product=product)
        session.add(serial)
    elif serial.product_id != product.id:
        former = serial.product
        serial.product = product
        serial.own_template = serial.own_target = None
        serial.target_by_owner = False
    session.flush()
    thing = serial.thing or registry.new_thing(session, serial)
    if former is not None:
        thing.current_version = None
        thing.version_confirmed_at = None
    if thing.owner_id != device.owner_id:
        names.own(session, thing, device.owner_id)
        thing.owned_since = now()
    thing.key_hash = None  # a key of the other service opens nothing more
    device.serial = serial
    what, origin = ("device.moved", f" from {former.code}") if former is not None else ("device.activated", "")
    detail = f"product {product.code}{origin}, thing {thing.id}"
    audit.note(session, f"device {device.uuid}", what, device.uuid, detail)
    session.flush()
    return serial
