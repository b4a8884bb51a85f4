"""Calls of the vendor: the serial numbers of a product, what each is to run, and whether it may."""

from typing import Annotated

from fastapi import Path
from sqlalchemy import exists, insert, select
from sqlalchemy.orm import Session

from thermokeeper.contract import schemas
from thermokeeper.contract.schemas import Page
from thermokeeper.server.http.context import Ctx
from thermokeeper.server.http.pages import After, Limit, page_of
from thermokeeper.server.http.releases import read_for
from thermokeeper.server.http.responses import refusal
from thermokeeper.server.http.routers import BAD, MISSING, NOT_GIVEN, vendor_router
from thermokeeper.server.refusals import ApiError, conflict
from thermokeeper.server.rules import audit, publishing, registry
from thermokeeper.server.rules.rows import (
    check_has_firmware,
    clean,
    find_product,
    find_template,
    find_version_of,
    open_product,
    serial_row,
)
from thermokeeper.server.secrets import fingerprint, new_id
from thermokeeper.server.storage.models import Product, Serial, Thing

router = vendor_router()

SerialInPath = Annotated[str, Path(alias="number", examples=["THERM00000000000001"])]


@router.post(
    "/products/{code}/serials.json",
    summary="Add a serial number to a product",
    status_code=201,
    response_model=schemas.Serial,
    responses={
        **BAD,
        **MISSING,
        409: refusal(f"there is one already; of a template or target of its own, {NOT_GIVEN}"),
    },
)
def add_serial(ctx: Ctx, code: str, body: schemas.SerialRequest) -> schemas.Serial:
    read_for(ctx, body.template, body.target_version)
    with ctx.database.writing() as session:
        product = open_product(session, code)
        _add_serials(session, product, [body])
        audit.changed(session, "serial.added", body.serial_number, f"product {product.code}")
        return serial_json(serial_row(session, body.serial_number))


@router.post(
    "/products/{code}/serials/batch.json",
    summary="Add many serial numbers to a product: all or none",
    status_code=201,
    response_model=schemas.Added,
    responses={
        **BAD,
        **MISSING,
        409: refusal(f"one is there already; of a template or target of their own, {NOT_GIVEN}"),
        413: refusal("too many in one call"),
    },
)
def add_serials(ctx: Ctx, code: str, body: schemas.SerialBatch) -> schemas.Added:
    limit = ctx.settings.limits.serials_per_call
    if len(body.serials) > limit:
        raise ApiError(413, "too_large", f"at most {limit} serial numbers in one call")
    for template_id, version_id in {(item.template, item.target_version) for item in body.serials}:
        read_for(ctx, template_id, version_id)
    with ctx.database.writing() as session:
        product = open_product(session, code)
        _add_serials(session, product, body.serials)
        numbers = [item.serial_number for item in body.serials]
        audit.changed(session, "serials.added", product.code, f"{len(numbers)}, {numbers[0]} to {numbers[-1]}")
    return schemas.Added(added=len(body.serials))


def _add_serials(session: Session, product: Product, wanted: list[schemas.SerialRequest]) -> None:
    numbers = [item.serial_number for item in wanted]
    if len(set(numbers)) < len(numbers):
        raise ApiError(400, "bad_request", "a serial number is in the list twice")
    taken = session.scalar(select(Serial.number).where(Serial.number.in_(numbers)).limit(1))
    if taken is not None:
        raise conflict("exists", f"the serial number {taken} is there already")
    for template_id, version_id, force in {(item.template, item.target_version, item.force) for item in wanted}:
        template = find_template(session, template_id) if template_id else product.default_template
        version = find_version_of(session, version_id, template) if version_id else None
        if version is not None:
            check_has_firmware(version)
        elif template_id:
            version = template.target
        if version is not None:
            publishing.give(session, version, [product], None, force)
    rows = [
        {
            "id": new_id(),
            "number": item.serial_number,
            "product_id": product.id,
            "template_id": item.template,
            "target_version_id": item.target_version,
            "proof_key": item.proof_key,
            "claim_hash": item.claim_hash,
        }
        for item in wanted
    ]
    session.execute(insert(Serial), rows)


@router.get(
    "/products/{code}/serials.json",
    summary="List the serial numbers of a product",
    response_model=Page[schemas.Serial],
    responses={**BAD, **MISSING},
)
def list_serials(
    ctx: Ctx, code: str, status: schemas.SerialStatus | None = None, after: After = None, limit: Limit = 100
) -> Page[schemas.Serial]:
    with ctx.database.reading() as session:
        rows = select(Serial).where(Serial.product_id == find_product(session, code).id).order_by(Serial.number)
        activated = exists().where(Thing.serial_id == Serial.id, Thing.activation_count > 0)
        if status == "retired":
            rows = rows.where(Serial.retired)
        elif status == "blocked":
            rows = rows.where(Serial.blocked, ~Serial.retired)
        elif status is not None:
            rows = rows.where(~Serial.blocked, activated if status == "active" else ~activated)
        rows = rows.where(Serial.number > (clean(after) or "")).options(*registry.whole_serials())
        found, following = page_of(session, rows, limit, lambda row: row.number)
        return Page(items=[serial_json(row) for row in found], next=following)


@router.get("/serials/{number}.json", summary="Get a serial number", response_model=schemas.Serial, responses=MISSING)
def get_serial(ctx: Ctx, number: SerialInPath) -> schemas.Serial:
    with ctx.database.reading() as session:
        return serial_json(serial_row(session, number))


@router.patch(
    "/serials/{number}.json",
    summary="Give a serial number a template or a target version of its own, another key for proofs or claim code",
    response_model=schemas.Serial,
    responses={
        **BAD,
        **MISSING,
        409: refusal(f"the version is of another template, or has no firmware; it is retired; {NOT_GIVEN}"),
    },
)
def change_serial(ctx: Ctx, number: SerialInPath, body: schemas.SerialChange) -> schemas.Serial:
    """What is left out stays; null takes the serial number's own away again. What its device is to run now, and wasn't
    before, is judged as when a version is published."""
    read_for(ctx, body.template, body.target_version)
    with ctx.database.writing() as session:
        serial = serial_row(session, number)
        if serial.retired:
            raise conflict("retired", "this serial number is retired: nothing is changed of it any more")
        before = registry.target_of(serial)
        if "template" in body.model_fields_set:
            serial.own_template = find_template(session, body.template) if body.template else None
        template = registry.template_of(serial)
        if "target_version" in body.model_fields_set:
            version = find_version_of(session, body.target_version, template) if body.target_version else None
            if version is not None:
                check_has_firmware(version)
            serial.own_target, serial.target_by_owner = version, False
        elif serial.target_by_owner and serial.own_target is not None and serial.own_target.template_id != template.id:
            serial.own_target, serial.target_by_owner = None, False  # an owner's choice binds no vendor
        elif serial.own_target is not None and serial.own_target.template_id != template.id:
            raise conflict("wrong_template", "its own target version is of another template: change that, too")
        if "proof_key" in body.model_fields_set:
            serial.proof_key = body.proof_key
        if "claim_hash" in body.model_fields_set:
            serial.claim_hash = body.claim_hash
        target = registry.target_of(serial)
        if target is not None and target is not before and (serial.own_target or serial.own_template):
            publishing.give_to(session, serial, target, serial.thing, body.force)
        if body.model_fields_set:
            audit.changed(session, "serial.changed", serial.number, ", ".join(sorted(body.model_fields_set)))
        session.flush()
        return serial_json(serial)


@router.post(
    "/serials/{number}/block.json",
    summary="Block a serial number: its device is refused everything",
    response_model=schemas.Serial,
    responses={**MISSING, 409: refusal("it is retired")},
)
def block_serial(ctx: Ctx, number: SerialInPath) -> schemas.Serial:
    return _set_blocked(ctx, number, True)


@router.post(
    "/serials/{number}/unblock.json",
    summary="Unblock a serial number",
    response_model=schemas.Serial,
    responses={**MISSING, 409: refusal("it is retired")},
)
def unblock_serial(ctx: Ctx, number: SerialInPath) -> schemas.Serial:
    return _set_blocked(ctx, number, False)


def _set_blocked(ctx: Ctx, number: str, blocked: bool) -> schemas.Serial:
    with ctx.database.writing() as session:
        serial = serial_row(session, number)
        if serial.retired:
            raise conflict("retired", "this serial number is retired: it stays blocked for ever")
        if serial.blocked != blocked:
            serial.blocked = blocked
            audit.changed(session, "serial.blocked" if blocked else "serial.unblocked", serial.number)
        return serial_json(serial)


def serial_json(row: Serial) -> schemas.Serial:
    return schemas.Serial(
        serial_number=row.number,
        product=row.product.code,
        status=registry.status_of(row, row.thing),
        template=registry.template_of(row).id,
        own_template=row.template_id is not None,
        target_version=registry.summary_or_none(registry.target_of(row)),
        own_target=row.target_version_id is not None,
        target_by_owner=row.target_by_owner,
        proof_key_id=fingerprint(row.proof_key) if row.proof_key else None,
        claim_code_id=fingerprint(row.claim_hash) if row.claim_hash else None,
        thing=row.thing.id if row.thing is not None else None,
        created=row.created_at,
    )
