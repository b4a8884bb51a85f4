"""The public keys of a product: whose releases its boards take. Only the vendor says so; no private key comes here."""

from sqlalchemy import delete
from sqlalchemy.orm import Session

from keeper.release import key_id
from thermokeeper.errors import ToolError
from thermokeeper.release.keys import parse_public
from thermokeeper.server.refusals import ApiError, conflict
from thermokeeper.server.rules import audit
from thermokeeper.server.storage.models import Product, ProductKey

LIMIT = 16  # of a product; a release has room for fewer


def add(session: Session, product: Product, pem: str, name: str = "") -> ProductKey:
    """The key in a PEM text. May be repeated. ApiError 400 if it is none, 409 if there are too many."""
    try:
        modulus = parse_public(pem.encode(), "body.key")
    except ToolError as error:
        raise ApiError(400, "bad_request", str(error)) from None
    found = session.get(ProductKey, (product.id, key_id(modulus)))
    if found is None:
        if len(product.keys) >= LIMIT:
            raise conflict("too_many_keys", f"a product has at most {LIMIT} keys: remove one that isn't used any more")
        found = ProductKey(product_id=product.id, key_id=key_id(modulus), modulus=modulus.hex(), name=name)
        product.keys.append(found)
        session.flush()
        audit.note(session, audit.VENDOR, "key.added", product.code, found.key_id)
    return found


def remove(session: Session, product: Product, name: str) -> None:
    """May be repeated. What is published stays so."""
    row = session.get(ProductKey, (product.id, name))
    if row is not None:
        session.execute(delete(ProductKey).where(ProductKey.product_id == product.id, ProductKey.key_id == name))
        session.expire(product, ["keys"])
        audit.note(session, audit.VENDOR, "key.removed", product.code, name)
