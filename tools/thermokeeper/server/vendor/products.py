"""Calls of the vendor: products and their serial numbers."""

from typing import Annotated

from fastapi import Path
from sqlalchemy import exists, insert, select
from sqlalchemy.orm import Session

from thermokeeper.contract import schemas
from thermokeeper.contract.schemas import Page
from thermokeeper.server.http.context import Ctx
from thermokeeper.server.http.pages import After, Limit, page_of
from thermokeeper.server.http.responses import refusal
from thermokeeper.server.http.routers import BAD, CLASH, MISSING, vendor_router
from thermokeeper.server.refusals import ApiError, conflict
from thermokeeper.server.rules import audit, registry
from thermokeeper.server.rules.claims import code_id
from thermokeeper.server.rules.proofs import key_id
from thermokeeper.server.rules.rows import (
    check_has_firmware,
    clean,
    find_product,
    find_template,
    find_version_of,
    open_product,
    serial_row,
)
from thermokeeper.server.secrets import new_id
from thermokeeper.server.storage.models import Product, Serial, Thing

router = vendor_router()

SerialInPath = Annotated[str, Path(alias="number", examples=["THERM00000000000001"])]


@router.post(
    "/products.json",
    summary="Create a product",
    status_code=201,
    response_model=schemas.Product,
    responses={**BAD, **MISSING, **CLASH},
)
def create_product(ctx: Ctx, body: schemas.ProductRequest) -> schemas.Product:
    with ctx.database.writing() as session:
        if session.scalar(select(exists().where(Product.code == body.code))):
            raise conflict("exists", "there is a product with this code already")
        template = find_template(session, body.default_template)
        product = Product(
            code=body.code,
            name=body.name,
            default_template=template,
            proof_required=body.proof_required,
            claim_code_required=body.claim_code_required,
        )
        session.add(product)
        session.flush()
        return product_json(product)


@router.get("/products.json", summary="List the products", response_model=list[schemas.Product])
def list_products(ctx: Ctx) -> list[schemas.Product]:
    with ctx.database.reading() as session:
        return [product_json(row) for row in session.scalars(select(Product).order_by(Product.code))]


@router.get("/products/{code}.json", summary="Get a product", response_model=schemas.Product, responses=MISSING)
def get_product(ctx: Ctx, code: str) -> schemas.Product:
    with ctx.database.reading() as session:
        return product_json(find_product(session, code))


@router.patch(
    "/products/{code}.json",
    summary="Change whether a product's devices have to prove themselves, and claims of them take a code",
    response_model=schemas.Product,
    responses={**BAD, **MISSING},
)
def change_product(ctx: Ctx, code: str, body: schemas.ProductChange) -> schemas.Product:
    """What is left out stays as it is."""
    with ctx.database.writing() as session:
        product = find_product(session, code)
        if body.proof_required is not None:
            product.proof_required = body.proof_required
        if body.claim_code_required is not None:
            product.claim_code_required = body.claim_code_required
        return product_json(product)


@router.post(
    "/products/{code}/serials.json",
    summary="Add a serial number to a product",
    status_code=201,
    response_model=schemas.Serial,
    responses={**BAD, **MISSING, **CLASH},
)
def add_serial(ctx: Ctx, code: str, body: schemas.SerialRequest) -> schemas.Serial:
    with ctx.database.writing() as session:
        product = open_product(session, code)
        _add_serials(session, product, [body])
        return serial_json(serial_row(session, body.serial_number))


@router.post(
    "/products/{code}/serials/batch.json",
    summary="Add many serial numbers to a product: all or none",
    status_code=201,
    response_model=schemas.Added,
    responses={**BAD, **MISSING, **CLASH, 413: refusal("too many in one call")},
)
def add_serials(ctx: Ctx, code: str, body: schemas.SerialBatch) -> schemas.Added:
    limit = ctx.settings.limits.serials_per_call
    if len(body.serials) > limit:
        raise ApiError(413, "too_large", f"at most {limit} serial numbers in one call")
    with ctx.database.writing() as session:
        _add_serials(session, open_product(session, code), body.serials)
    return schemas.Added(added=len(body.serials))


def _add_serials(session: Session, product: Product, wanted: list[schemas.SerialRequest]) -> None:
    numbers = [item.serial_number for item in wanted]
    if len(set(numbers)) < len(numbers):
        raise ApiError(400, "bad_request", "a serial number is in the list twice")
    taken = session.scalar(select(Serial.number).where(Serial.number.in_(numbers)).limit(1))
    if taken is not None:
        raise conflict("exists", f"the serial number {taken} is there already")
    for template_id, version_id in {(item.template, item.target_version) for item in wanted}:
        template = find_template(session, template_id) if template_id else product.default_template
        if version_id:
            check_has_firmware(find_version_of(session, version_id, template))
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
        409: refusal("the version is of another template, or has no firmware; or it is retired"),
    },
)
def change_serial(ctx: Ctx, number: SerialInPath, body: schemas.SerialChange) -> schemas.Serial:
    """What is left out stays; null takes the serial number's own away again."""
    with ctx.database.writing() as session:
        serial = serial_row(session, number)
        if serial.retired:
            raise conflict("retired", "this serial number is retired: nothing is changed of it any more")
        if "template" in body.model_fields_set:
            serial.own_template = find_template(session, body.template) if body.template else None
        template = registry.template_of(serial)
        if "target_version" in body.model_fields_set:
            version = find_version_of(session, body.target_version, template) if body.target_version else None
            if version is not None:
                check_has_firmware(version)
            serial.own_target = version
        elif serial.own_target is not None and serial.own_target.template_id != template.id:
            raise conflict("wrong_template", "its own target version is of another template: change that, too")
        if "proof_key" in body.model_fields_set:
            serial.proof_key = body.proof_key
        if "claim_hash" in body.model_fields_set:
            serial.claim_hash = body.claim_hash
            what = "serial.claim_code_set" if body.claim_hash else "serial.claim_code_removed"
            audit.note(session, audit.VENDOR, what, number)
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
            audit.note(session, audit.VENDOR, "serial.blocked" if blocked else "serial.unblocked", number)
        return serial_json(serial)


def product_json(row: Product) -> schemas.Product:
    return schemas.Product(
        id=row.id,
        code=row.code,
        name=row.name,
        default_template=row.default_template_id,
        proof_required=row.proof_required,
        claim_code_required=row.claim_code_required,
        retired=row.retired,
        created=row.created_at,
    )


def serial_json(row: Serial) -> schemas.Serial:
    return schemas.Serial(
        serial_number=row.number,
        product=row.product.code,
        status=registry.status_of(row, row.thing),
        template=registry.template_of(row).id,
        own_template=row.template_id is not None,
        target_version=registry.summary_or_none(registry.target_of(row)),
        own_target=row.target_version_id is not None,
        proof_key_id=key_id(row.proof_key) if row.proof_key else None,
        claim_code_id=code_id(row.claim_hash) if row.claim_hash else None,
        thing=row.thing.id if row.thing is not None else None,
        created=row.created_at,
    )
