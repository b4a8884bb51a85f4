"""Calls of the vendor: the public keys of a product, with which its releases have to be signed."""

from fastapi import Response

from thermokeeper.contract import schemas
from thermokeeper.server.http.context import Ctx
from thermokeeper.server.http.responses import refusal
from thermokeeper.server.http.routers import BAD, MISSING, vendor_router
from thermokeeper.server.rules import product_keys
from thermokeeper.server.rules.rows import clean, find_product
from thermokeeper.server.storage.models import ProductKey

router = vendor_router()


@router.post(
    "/products/{code}/keys.json",
    summary="Add a public key to a product",
    status_code=201,
    response_model=schemas.ProductKey,
    responses={**BAD, **MISSING, 409: refusal("the product has too many")},
)
def add_product_key(ctx: Ctx, code: str, body: schemas.KeyRequest) -> schemas.ProductKey:
    """From now on only releases that one of the product's keys signed are published for it. May be repeated."""
    with ctx.database.writing() as session:
        return _key_json(product_keys.add(session, find_product(session, code), body.key, body.name))


@router.get(
    "/products/{code}/keys.json",
    summary="List the public keys of a product",
    response_model=list[schemas.ProductKey],
    responses=MISSING,
)
def list_product_keys(ctx: Ctx, code: str) -> list[schemas.ProductKey]:
    with ctx.database.reading() as session:
        return [_key_json(row) for row in find_product(session, code).keys]


@router.delete(
    "/products/{code}/keys/{key_id}.json",
    summary="Remove a public key from a product",
    status_code=204,
    responses=MISSING,
)
def remove_product_key(ctx: Ctx, code: str, key_id: str) -> Response:
    """What is published stays so; and boards that trust the key do so until a release tells them otherwise. May be
    repeated."""
    with ctx.database.writing() as session:
        product_keys.remove(session, find_product(session, code), clean(key_id) or "")
    return Response(status_code=204)


def _key_json(row: ProductKey) -> schemas.ProductKey:
    return schemas.ProductKey(id=row.key_id, name=row.name, added=row.added_at)
