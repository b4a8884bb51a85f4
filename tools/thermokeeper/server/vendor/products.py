"""Calls of the vendor: products."""

from typing import cast

from sqlalchemy import exists, select
from sqlalchemy.orm import selectinload

from thermokeeper.contract import schemas
from thermokeeper.contract.schemas import Page
from thermokeeper.server.http.context import Ctx
from thermokeeper.server.http.pages import After, Limit, page_of
from thermokeeper.server.http.releases import read_for
from thermokeeper.server.http.responses import refusal
from thermokeeper.server.http.routers import BAD, MISSING, NOT_GIVEN, vendor_router
from thermokeeper.server.refusals import conflict
from thermokeeper.server.rules import audit, product_keys, publishing
from thermokeeper.server.rules.rows import clean, find_product, find_template
from thermokeeper.server.storage.models import Product

router = vendor_router()


@router.post(
    "/products.json",
    summary="Create a product",
    status_code=201,
    response_model=schemas.Product,
    responses={
        **BAD,
        **MISSING,
        409: refusal(f"there is one already; of what its template has published, {NOT_GIVEN}"),
    },
)
def create_product(ctx: Ctx, body: schemas.ProductRequest) -> schemas.Product:
    """What its template has published is for the new product's boards, too: it is judged as when it is published."""
    read_for(ctx, body.default_template)
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
            flash_size=body.flash_size,
        )
        session.add(product)
        session.flush()
        audit.changed(session, "product.created", product.code)
        for pem in body.keys:
            product_keys.add(session, product, pem)
        if template.target is not None:
            publishing.give(session, template.target, [product], None, body.force)
        return product_json(product)


@router.get("/products.json", summary="List the products, by code", response_model=Page[schemas.Product], responses=BAD)
def list_products(ctx: Ctx, after: After = None, limit: Limit = 100) -> Page[schemas.Product]:
    with ctx.database.reading() as session:
        rows = select(Product).where(Product.code > (clean(after) or "")).order_by(Product.code)
        rows = rows.options(selectinload(Product.keys))
        found, following = page_of(session, rows, limit, lambda row: row.code)
        return Page(items=[product_json(row) for row in found], next=following)


@router.get("/products/{code}.json", summary="Get a product", response_model=schemas.Product, responses=MISSING)
def get_product(ctx: Ctx, code: str) -> schemas.Product:
    with ctx.database.reading() as session:
        return product_json(find_product(session, code))


@router.patch(
    "/products/{code}.json",
    summary="Change whether a product's devices have to prove themselves, claims take a code, or their flash map",
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
        if "flash_size" in body.model_fields_set:
            product.flash_size = body.flash_size
        changes = []
        if body.proof_required is not None:
            changes.append(f"proof required: {body.proof_required}".lower())
        if body.claim_code_required is not None:
            changes.append(f"claim code required: {body.claim_code_required}".lower())
        if "flash_size" in body.model_fields_set:
            changes.append(f"flash size: {body.flash_size}")
        if changes:
            audit.changed(session, "product.changed", product.code, ", ".join(changes))
        return product_json(product)


def product_json(row: Product) -> schemas.Product:
    return schemas.Product(
        id=row.id,
        code=row.code,
        name=row.name,
        default_template=row.default_template_id,
        proof_required=row.proof_required,
        claim_code_required=row.claim_code_required,
        retired=row.retired,
        flash_size=cast(schemas.FlashSize | None, row.flash_size),
        keys=[key.key_id for key in row.keys],
        created=row.created_at,
    )
