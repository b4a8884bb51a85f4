"""Calls of the vendor: what comes to its end - a thing's data, a thing, a serial number, a product."""

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session

from thermokeeper.contract import schemas
from thermokeeper.server.http.context import Ctx
from thermokeeper.server.http.erasing import erase_points, last_point
from thermokeeper.server.http.responses import Responses, refusal
from thermokeeper.server.http.routers import MISSING, vendor_router
from thermokeeper.server.refusals import ApiError, conflict
from thermokeeper.server.rules import audit, ownership
from thermokeeper.server.rules.dms_provisioning import device_row
from thermokeeper.server.rules.rows import clean, existing, serial_row
from thermokeeper.server.storage.models import (
    Datapoint,
    Product,
    PropertyValue,
    Reading,
    ReadingHour,
    Serial,
    Thing,
    UpdateFailure,
)
from thermokeeper.server.storage.retention import numbers_come_again
from thermokeeper.server.vendor.products import product_json
from thermokeeper.server.vendor.serials import SerialInPath, serial_json

router = vendor_router()

_NO_THING: Responses = {404: refusal("no such thing")}


@router.delete(
    "/things/{thing_id}/datapoints.json",
    summary="Delete what a thing has told: datapoints and properties",
    response_model=schemas.Erased,
    responses=_NO_THING,
)
def erase_datapoints(ctx: Ctx, thing_id: str) -> schemas.Erased:
    """What arrives meanwhile stays. Cut off, it is simply called again."""
    with ctx.database.writing() as session:
        thing = ownership.locked(session, thing_id)
        until = last_point(session, thing_id)
        _forget_values(session, thing_id)
        audit.changed(session, "thing.erased", thing.serial.number)
    return schemas.Erased(datapoints=erase_points(ctx, thing_id, 0, until))


@router.delete(
    "/things/{thing_id}.json",
    summary="Delete a thing that is nobody's, with all that it has told",
    response_model=schemas.Erased,
    responses={**_NO_THING, 409: refusal("it has an owner")},
)
def delete_thing(ctx: Ctx, thing_id: str) -> schemas.Erased:
    """Its key is dropped. Its serial number stays: with the next activation the device gets a new thing, unless that is
    blocked or retired. Cut off, it is simply called again."""
    with ctx.database.writing() as session:
        thing = _nobodys(session, thing_id)
        thing.key_hash = None  # nothing more arrives
        until = last_point(session, thing_id)
    erased = erase_points(ctx, thing_id, 0, until)
    with ctx.database.writing() as session:
        thing = _nobodys(session, thing_id)
        number = thing.serial.number
        device = device_row(session, number)
        if device is not None:
            device.serial = None
        _forget_values(session, thing_id)
        late = delete(Datapoint).where(Datapoint.thing_id == thing_id)  # from an activation meanwhile
        session.execute(late, execution_options={"synchronize_session": False})
        numbers_come_again(session)
        session.delete(thing)
        audit.changed(session, "thing.deleted", number, f"thing {thing_id}")
    return schemas.Erased(datapoints=erased)


@router.post(
    "/serials/{number}/retire.json",
    summary="Retire a serial number for ever: its device can't activate, its keys are dropped",
    response_model=schemas.Serial,
    responses={**MISSING, 409: refusal("its thing has an owner")},
)
def retire_serial(ctx: Ctx, number: SerialInPath) -> schemas.Serial:
    """It stays on the list, so that no other device ever gets it. Its thing stays, too, and can be deleted. May be
    repeated."""
    with ctx.database.writing() as session:
        device = device_row(session, clean(number) or "")
        serial = serial_row(session, number)
        thing = serial.thing
        if thing is not None and thing.owner is not None:
            raise _owned(thing)
        if device is not None and device.owner is not None:
            message = "its device has an owner: take him off first, with `thermokeeper dms device release`"
            raise conflict("in_use", message)
        if not serial.retired:
            serial.retired = serial.blocked = True
            serial.proof_key = serial.claim_hash = None
            if thing is not None:
                thing.key_hash = None
            if device is not None:
                device.credential_hash = device.offered_hash = None
            audit.changed(session, "serial.retired", number)
        session.flush()
        return serial_json(serial)


@router.post(
    "/products/{code}/retire.json",
    summary="Retire a product for ever: it takes no more devices",
    response_model=schemas.Product,
    responses={**MISSING, 409: refusal("it has serial numbers that aren't retired")},
)
def retire_product(ctx: Ctx, code: str) -> schemas.Product:
    """It stays on the list, with its serial numbers. May be repeated."""
    with ctx.database.writing() as session:
        product = existing(
            session.scalar(select(Product).where(Product.code == clean(code)).with_for_update()), "product"
        )
        live = select(exists().where(Serial.product_id == product.id, ~Serial.retired))
        if not product.retired and session.scalar(live):
            message = "it has serial numbers that aren't retired: `thermokeeper serial retire` each of them first"
            raise conflict("in_use", message)
        if not product.retired:
            product.retired = True
            audit.changed(session, "product.retired", product.code)
        session.flush()
        return product_json(product)


def _nobodys(session: Session, thing_id: str) -> Thing:
    thing = ownership.locked(session, thing_id)
    if thing.owner is not None:
        raise _owned(thing)
    return thing


def _owned(thing: Thing) -> ApiError:
    assert thing.owner is not None
    message = f"the thing {thing.id} is {thing.owner.name}'s: take him off first, with `thermokeeper thing release`"
    return conflict("in_use", message)


def _forget_values(session: Session, thing_id: str) -> None:
    for kind in (Reading, ReadingHour, PropertyValue, UpdateFailure):
        gone = delete(kind).where(kind.thing_id == thing_id)
        session.execute(gone, execution_options={"synchronize_session": False})
