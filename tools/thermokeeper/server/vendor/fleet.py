"""Calls of the vendor: the things, and owner accounts."""

from fastapi import Response
from sqlalchemy import exists, select
from sqlalchemy.orm import selectinload

from thermokeeper.contract import schemas
from thermokeeper.contract.schemas import Page
from thermokeeper.contract.times import now
from thermokeeper.server.http.context import Context, Ctx
from thermokeeper.server.http.pages import After, Limit, page_of
from thermokeeper.server.http.routers import BAD, CLASH, MISSING, vendor_router
from thermokeeper.server.refusals import conflict
from thermokeeper.server.rules import audit, failures, registry
from thermokeeper.server.rules.rows import clean, find_thing
from thermokeeper.server.secrets import hashed, new_key
from thermokeeper.server.storage.models import Owner, Serial, Thing

router = vendor_router()

# -- things ------------------------------------------------------------------------------------------------------------


@router.get(
    "/things.json",
    summary="List the things, by serial number",
    response_model=Page[schemas.Thing],
    responses=BAD,
)
def list_things(ctx: Ctx, after: After = None, limit: Limit = 100) -> Page[schemas.Thing]:
    with ctx.database.reading() as session:
        rows = select(Thing).join(Thing.serial).where(Serial.number > (clean(after) or "")).order_by(Serial.number)
        rows = rows.options(*registry.whole_things(), selectinload(Thing.failures))
        found, following = page_of(session, rows, limit, lambda row: row.serial.number)
        return Page(items=[_thing_json(ctx, row) for row in found], next=following)


@router.get(
    "/things/{thing_id}.json",
    summary="Get a thing: all that the server knows of it",
    response_model=schemas.Thing,
    responses=MISSING,
)
def get_thing(ctx: Ctx, thing_id: str) -> schemas.Thing:
    with ctx.database.reading() as session:
        return _thing_json(ctx, find_thing(session, thing_id))


# -- owners ------------------------------------------------------------------------------------------------------------


@router.post(
    "/owners.json",
    summary="Create an owner account",
    status_code=201,
    response_model=schemas.NewOwner,
    responses={**BAD, **CLASH},
)
def create_owner(ctx: Ctx, response: Response, body: schemas.OwnerRequest) -> schemas.NewOwner:
    """The token is in this answer only."""
    token = new_key()
    with ctx.database.writing() as session:
        if session.scalar(select(exists().where(Owner.name == body.name))):
            raise conflict("exists", "there is an owner of this name already")
        row = Owner(name=body.name, token_hash=hashed(token), created_at=now())
        session.add(row)
        session.flush()
        audit.changed(session, "owner.created", row.name)
        response.headers["Cache-Control"] = "no-store"
        return schemas.NewOwner(id=row.id, name=row.name, created=row.created_at, token=token)


@router.get("/owners.json", summary="List the owners, by name", response_model=Page[schemas.Owner], responses=BAD)
def list_owners(ctx: Ctx, after: After = None, limit: Limit = 100) -> Page[schemas.Owner]:
    with ctx.database.reading() as session:
        rows = select(Owner).where(Owner.name > (clean(after) or "")).order_by(Owner.name)
        found, following = page_of(session, rows, limit, lambda row: row.name)
        items = [schemas.Owner(id=row.id, name=row.name, created=row.created_at) for row in found]
        return Page(items=items, next=following)


def _thing_json(ctx: Context, row: Thing) -> schemas.Thing:
    return schemas.Thing(
        id=row.id,
        name=row.name,
        serial_number=row.serial.number,
        product=row.serial.product.code,
        status=registry.status_of(row.serial, row),
        owner=row.owner.name if row.owner is not None else None,
        owned_since=row.owned_since,
        current_version=registry.summary_or_none(row.current_version),
        version_confirmed=row.version_confirmed_at,
        target_version=registry.summary_or_none(registry.target_of(row.serial)),
        created=row.created_at,
        last_seen=ctx.sightings.of_thing(row),
        last_activation=row.last_activation_at,
        activation_count=row.activation_count,
        readings=registry.readings(row),
        properties=registry.properties(row),
        update_failures=[failures.failure_json(one) for one in row.failures],
    )
