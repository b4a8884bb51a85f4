"""Calls of the vendor: templates, versions and their firmware, products, serial numbers, things, owner accounts."""

from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from sqlalchemy import exists, insert, select
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from thermokeeper.server import registry, schemas
from thermokeeper.server.context import Ctx, serial_row, vendor
from thermokeeper.server.errors import ApiError, conflict, not_found
from thermokeeper.server.firmware import Received
from thermokeeper.server.models import Datapoint, Owner, Product, Serial, Template, Thing, Version
from thermokeeper.server.schemas import ErrorBody, Page, document
from thermokeeper.server.secrets import hashed, new_id, new_key
from thermokeeper.server.times import now

Row = TypeVar("Row")

router = APIRouter(
    prefix="/v1/vendor",
    tags=["vendors"],
    dependencies=[Depends(vendor)],
    responses={401: document(ErrorBody, "vendor token missing or wrong")},
)

_BAD: schemas.Responses = {400: document(ErrorBody, "malformed request")}
_MISSING: schemas.Responses = {404: document(ErrorBody, "no such template, version, product, serial number or thing")}
_CLASH: schemas.Responses = {409: document(ErrorBody, "there is one already, or it is in use")}

Limit = Annotated[int, Query(ge=1, le=1000, description="items on a page")]
After = Annotated[str | None, Query(max_length=64, description="`next` of the page before")]
SerialInPath = Annotated[str, Path(alias="number", examples=["THERM00000000000001"])]

# -- templates ---------------------------------------------------------------------------------------------------------


@router.post(
    "/templates.json",
    summary="Create a template",
    status_code=201,
    response_model=schemas.Template,
    responses={**_BAD, **_CLASH},
)
def create_template(ctx: Ctx, body: schemas.TemplateRequest) -> schemas.Template:
    with ctx.database.writing() as session:
        if session.scalar(select(exists().where(Template.name == body.name))):
            raise conflict("exists", "there is a template of this name already")
        template = Template(name=body.name, description=body.description)
        session.add(template)
        session.flush()
        return _template_json(template)


@router.get("/templates.json", summary="List the templates", response_model=list[schemas.Template])
def list_templates(ctx: Ctx) -> list[schemas.Template]:
    with ctx.database.reading() as session:
        return [_template_json(row) for row in session.scalars(select(Template).order_by(Template.name))]


@router.get(
    "/templates/{template_id}.json", summary="Get a template", response_model=schemas.Template, responses=_MISSING
)
def get_template(ctx: Ctx, template_id: str) -> schemas.Template:
    with ctx.database.reading() as session:
        return _template_json(_template(session, template_id))


@router.delete(
    "/templates/{template_id}/target-version.json",
    summary="Withdraw what a template has published",
    status_code=204,
    responses=_MISSING,
)
def withdraw(ctx: Ctx, template_id: str) -> Response:
    """Devices that have it keep it; the others are told that no target version is set."""
    with ctx.database.writing() as session:
        _template(session, template_id).target = None
    return Response(status_code=204)


# -- versions ----------------------------------------------------------------------------------------------------------


@router.post(
    "/templates/{template_id}/versions.json",
    summary="Create a version of a template",
    status_code=201,
    response_model=schemas.Version,
    responses={**_BAD, **_MISSING, **_CLASH},
)
def create_version(ctx: Ctx, template_id: str, body: schemas.VersionRequest) -> schemas.Version:
    """Its firmware is uploaded in a second call; then it can be published."""
    with ctx.database.writing() as session:
        template = _template(session, template_id)
        if session.scalar(select(exists().where(Version.template_id == template.id, Version.name == body.name))):
            raise conflict("exists", "the template has a version of this name already")
        if body.update_to_version is not None:
            _version_of(session, body.update_to_version, template)
        version = Version(
            template=template,
            name=body.name,
            description=body.description,
            prototype=body.prototype,
            update_by_thing=body.update_performed_by_thing,
            update_to_id=body.update_to_version,
            update_automatic=body.update_automatic,
        )
        session.add(version)
        session.flush()
        return _version_json(version)


@router.get(
    "/templates/{template_id}/versions.json",
    summary="List the versions of a template, oldest first",
    response_model=list[schemas.Version],
    responses=_MISSING,
)
def list_versions(ctx: Ctx, template_id: str) -> list[schemas.Version]:
    with ctx.database.reading() as session:
        template = _template(session, template_id)
        rows = select(Version).where(Version.template_id == template.id).order_by(Version.created_at, Version.id)
        return [_version_json(row) for row in session.scalars(rows)]


@router.get("/versions/{version_id}.json", summary="Get a version", response_model=schemas.Version, responses=_MISSING)
def get_version(ctx: Ctx, version_id: str) -> schemas.Version:
    with ctx.database.reading() as session:
        return _version_json(_version(session, version_id))


@router.patch(
    "/versions/{version_id}.json",
    summary="Change where a version leads",
    response_model=schemas.Version,
    responses={**_BAD, **_MISSING, **_CLASH},
)
def change_version(ctx: Ctx, version_id: str, body: schemas.VersionChange) -> schemas.Version:
    """Name, prototype flag and firmware of a version never change."""
    with ctx.database.writing() as session:
        version = _version(session, version_id)
        if "update_to_version" in body.model_fields_set:
            if body.update_to_version == version.id:
                raise conflict("same_version", "a version can't lead to itself")
            if body.update_to_version is not None:
                _version_of(session, body.update_to_version, version.template)
            version.update_to_id = body.update_to_version
        if body.description is not None:
            version.description = body.description
        if body.update_automatic is not None:
            version.update_automatic = body.update_automatic
        if body.update_performed_by_thing is not None:
            version.update_by_thing = body.update_performed_by_thing
        return _version_json(version)


@router.delete(
    "/versions/{version_id}.json",
    summary="Delete a version that nothing uses",
    status_code=204,
    responses={**_MISSING, **_CLASH},
)
def delete_version(ctx: Ctx, version_id: str) -> Response:
    with ctx.database.writing() as session:
        version = _version(session, version_id)
        uses = {
            "it is published": Template.target_version_id == version.id,
            "it is the target of a serial number": Serial.target_version_id == version.id,
            "a thing runs it": Thing.current_version_id == version.id,
            "another version leads to it": Version.update_to_id == version.id,
        }
        for use, condition in uses.items():
            if session.scalar(select(exists().where(condition))):
                raise conflict("in_use", f"the version is in use: {use}")
        session.delete(version)
    ctx.firmware.remove(version_id)
    return Response(status_code=204)


@router.put(
    "/versions/{version_id}/firmware.bin",
    summary="Upload the firmware of a version",
    response_model=schemas.Version,
    responses={
        400: document(ErrorBody, "empty, or a damaged release file"),
        **_MISSING,
        409: document(ErrorBody, "the version has another firmware already: make a new version"),
        413: document(ErrorBody, "too large"),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def upload_firmware(ctx: Ctx, request: Request, version_id: str) -> schemas.Version:
    """The body is the file as it is. The same file again changes nothing; another one is refused.

    A release file is recognised: its digest and version then go to the devices as `release` and `release_version`.
    """
    await run_in_threadpool(get_version, ctx, version_id)  # 404 before anything is taken in
    received = await ctx.firmware.receive(request.stream())
    return await run_in_threadpool(_keep_firmware, ctx, version_id, received)


def _keep_firmware(ctx: Ctx, version_id: str, received: Received) -> schemas.Version:
    try:
        with ctx.database.writing() as session:
            version = session.scalar(select(Version).where(Version.id == version_id).with_for_update())
            if version is None:
                raise not_found("version")
            if version.firmware_sha256 is not None:
                if version.firmware_sha256 != received.sha256:
                    raise conflict("has_firmware", "the version has another firmware already: make a new version")
                return _version_json(version)
            version.firmware_size = received.size
            version.firmware_sha256 = received.sha256
            if received.release is not None:
                version.release_digest = received.release.digest
                version.release_version = received.release.version
            ctx.firmware.keep(received, version_id)
            return _version_json(version)
    finally:
        ctx.firmware.drop(received)


@router.post(
    "/versions/{version_id}/publish.json",
    summary="Publish a version: devices of its template should run it",
    response_model=schemas.Template,
    responses={**_MISSING, 409: document(ErrorBody, "a prototype, or a version without firmware")},
)
def publish(ctx: Ctx, version_id: str) -> schemas.Template:
    with ctx.database.writing() as session:
        version = _version(session, version_id)
        _check_has_firmware(version)
        if version.prototype:
            raise conflict("prototype", "a prototype can't be published; make it the target of chosen serial numbers")
        version.template.target = version
        session.flush()
        return _template_json(version.template)


# -- products and serial numbers ---------------------------------------------------------------------------------------


@router.post(
    "/products.json",
    summary="Create a product",
    status_code=201,
    response_model=schemas.Product,
    responses={**_BAD, **_MISSING, **_CLASH},
)
def create_product(ctx: Ctx, body: schemas.ProductRequest) -> schemas.Product:
    with ctx.database.writing() as session:
        if session.scalar(select(exists().where(Product.code == body.code))):
            raise conflict("exists", "there is a product with this code already")
        template = _template(session, body.default_template)
        product = Product(code=body.code, name=body.name, default_template=template)
        session.add(product)
        session.flush()
        return _product_json(product)


@router.get("/products.json", summary="List the products", response_model=list[schemas.Product])
def list_products(ctx: Ctx) -> list[schemas.Product]:
    with ctx.database.reading() as session:
        return [_product_json(row) for row in session.scalars(select(Product).order_by(Product.code))]


@router.get("/products/{code}.json", summary="Get a product", response_model=schemas.Product, responses=_MISSING)
def get_product(ctx: Ctx, code: str) -> schemas.Product:
    with ctx.database.reading() as session:
        return _product_json(_product(session, code))


@router.post(
    "/products/{code}/serials.json",
    summary="Add a serial number to a product",
    status_code=201,
    response_model=schemas.Serial,
    responses={**_BAD, **_MISSING, **_CLASH},
)
def add_serial(ctx: Ctx, code: str, body: schemas.SerialRequest) -> schemas.Serial:
    with ctx.database.writing() as session:
        product = _product(session, code)
        _add_serials(session, product, [body])
        return _serial_json(serial_row(session, body.serial_number))


@router.post(
    "/products/{code}/serials/batch.json",
    summary="Add many serial numbers to a product: all or none",
    status_code=201,
    response_model=schemas.Added,
    responses={**_BAD, **_MISSING, **_CLASH, 413: document(ErrorBody, "too many in one call")},
)
def add_serials(ctx: Ctx, code: str, body: schemas.SerialBatch) -> schemas.Added:
    limit = ctx.settings.limits.serials_per_call
    if len(body.serials) > limit:
        raise ApiError(413, "too_large", f"at most {limit} serial numbers in one call")
    with ctx.database.writing() as session:
        _add_serials(session, _product(session, code), body.serials)
    return schemas.Added(added=len(body.serials))


def _add_serials(session: Session, product: Product, wanted: list[schemas.SerialRequest]) -> None:
    numbers = [item.serial_number for item in wanted]
    if len(set(numbers)) < len(numbers):
        raise ApiError(400, "bad_request", "a serial number is in the list twice")
    taken = session.scalar(select(Serial.number).where(Serial.number.in_(numbers)).limit(1))
    if taken is not None:
        raise conflict("exists", f"the serial number {taken} is there already")
    for template_id, version_id in {(item.template, item.target_version) for item in wanted}:
        template = _template(session, template_id) if template_id else product.default_template
        if version_id:
            _check_has_firmware(_version_of(session, version_id, template))
    rows = [
        {
            "id": new_id(),
            "number": item.serial_number,
            "product_id": product.id,
            "template_id": item.template,
            "target_version_id": item.target_version,
        }
        for item in wanted
    ]
    session.execute(insert(Serial), rows)


@router.get(
    "/products/{code}/serials.json",
    summary="List the serial numbers of a product",
    response_model=Page[schemas.Serial],
    responses={**_BAD, **_MISSING},
)
def list_serials(
    ctx: Ctx, code: str, status: schemas.SerialStatus | None = None, after: After = None, limit: Limit = 100
) -> Page[schemas.Serial]:
    with ctx.database.reading() as session:
        rows = select(Serial).where(Serial.product_id == _product(session, code).id).order_by(Serial.number)
        activated = exists().where(Thing.serial_id == Serial.id, Thing.activation_count > 0)
        if status == "blocked":
            rows = rows.where(Serial.blocked)
        elif status is not None:
            rows = rows.where(~Serial.blocked, activated if status == "active" else ~activated)
        found = list(session.scalars(rows.where(Serial.number > (_clean(after) or "")).limit(limit + 1)))
        items = [_serial_json(row) for row in found[:limit]]
        return Page(items=items, next=items[-1].serial_number if len(found) > limit else None)


@router.get("/serials/{number}.json", summary="Get a serial number", response_model=schemas.Serial, responses=_MISSING)
def get_serial(ctx: Ctx, number: SerialInPath) -> schemas.Serial:
    with ctx.database.reading() as session:
        return _serial_json(_serial(session, number))


@router.patch(
    "/serials/{number}.json",
    summary="Give a serial number a template or a target version of its own",
    response_model=schemas.Serial,
    responses={**_BAD, **_MISSING, 409: document(ErrorBody, "the version is of another template, or has no firmware")},
)
def change_serial(ctx: Ctx, number: SerialInPath, body: schemas.SerialChange) -> schemas.Serial:
    """What is left out stays; null takes the serial number's own away again."""
    with ctx.database.writing() as session:
        serial = _serial(session, number)
        if "template" in body.model_fields_set:
            serial.own_template = _template(session, body.template) if body.template else None
        template = registry.template_of(serial)
        if "target_version" in body.model_fields_set:
            version = _version_of(session, body.target_version, template) if body.target_version else None
            if version is not None:
                _check_has_firmware(version)
            serial.own_target = version
        elif serial.own_target is not None and serial.own_target.template_id != template.id:
            raise conflict("wrong_template", "its own target version is of another template: change that, too")
        session.flush()
        return _serial_json(serial)


@router.post(
    "/serials/{number}/block.json",
    summary="Block a serial number: its device is refused everything",
    response_model=schemas.Serial,
    responses=_MISSING,
)
def block_serial(ctx: Ctx, number: SerialInPath) -> schemas.Serial:
    return _set_blocked(ctx, number, True)


@router.post(
    "/serials/{number}/unblock.json",
    summary="Unblock a serial number",
    response_model=schemas.Serial,
    responses=_MISSING,
)
def unblock_serial(ctx: Ctx, number: SerialInPath) -> schemas.Serial:
    return _set_blocked(ctx, number, False)


def _set_blocked(ctx: Ctx, number: str, blocked: bool) -> schemas.Serial:
    with ctx.database.writing() as session:
        serial = _serial(session, number)
        serial.blocked = blocked
        return _serial_json(serial)


# -- things ------------------------------------------------------------------------------------------------------------


@router.get(
    "/things.json",
    summary="List the things, by serial number",
    response_model=Page[schemas.Thing],
    responses=_BAD,
)
def list_things(ctx: Ctx, after: After = None, limit: Limit = 100) -> Page[schemas.Thing]:
    with ctx.database.reading() as session:
        rows = select(Thing).join(Thing.serial).where(Serial.number > (_clean(after) or "")).order_by(Serial.number)
        found = list(session.scalars(rows.limit(limit + 1)))
        items = [_thing_json(row) for row in found[:limit]]
        return Page(items=items, next=items[-1].serial_number if len(found) > limit else None)


@router.get(
    "/things/{thing_id}.json",
    summary="Get a thing: all that the server knows of it",
    response_model=schemas.Thing,
    responses=_MISSING,
)
def get_thing(ctx: Ctx, thing_id: str) -> schemas.Thing:
    with ctx.database.reading() as session:
        return _thing_json(_thing(session, thing_id))


@router.get(
    "/things/{thing_id}/datapoints.json",
    summary="List the datapoints of a thing, last arrived first",
    response_model=Page[schemas.Datapoint],
    responses={**_BAD, **_MISSING},
)
def list_datapoints(
    ctx: Ctx,
    thing_id: str,
    event: Annotated[str | None, Query(pattern=schemas.WORD_PATTERN)] = None,
    after: After = None,
    limit: Limit = 100,
) -> Page[schemas.Datapoint]:
    with ctx.database.reading() as session:
        return datapoints_page(session, _thing(session, thing_id), event, after, limit)


def datapoints_page(
    session: Session, thing: Thing, event: str | None, after: str | None, limit: int
) -> Page[schemas.Datapoint]:
    rows = select(Datapoint).where(Datapoint.thing_id == thing.id).order_by(Datapoint.id.desc())
    if event is not None:
        rows = rows.where(Datapoint.event == event)
    if after is not None:
        if not (after.isascii() and after.isdigit() and len(after) < 19):
            raise ApiError(400, "bad_request", "query.after: not the `next` of a page")
        rows = rows.where(Datapoint.id < int(after))
    found = list(session.scalars(rows.limit(limit + 1)))
    items = [schemas.Datapoint(event=row.event, value=row.value, at=row.at, arrived=row.arrived_at) for row in found]
    return Page(items=items[:limit], next=str(found[limit - 1].id) if len(found) > limit else None)


# -- owners ------------------------------------------------------------------------------------------------------------


@router.post(
    "/owners.json",
    summary="Create an owner account",
    status_code=201,
    response_model=schemas.NewOwner,
    responses={**_BAD, **_CLASH},
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
        response.headers["Cache-Control"] = "no-store"
        return schemas.NewOwner(id=row.id, name=row.name, created=row.created_at, token=token)


@router.get("/owners.json", summary="List the owners", response_model=list[schemas.Owner])
def list_owners(ctx: Ctx) -> list[schemas.Owner]:
    with ctx.database.reading() as session:
        rows = session.scalars(select(Owner).order_by(Owner.name))
        return [schemas.Owner(id=row.id, name=row.name, created=row.created_at) for row in rows]


# -- rows and their JSON -----------------------------------------------------------------------------------------------


def _clean(text: str | None) -> str | None:
    """What came from a path or query, for the database: PostgreSQL takes no NUL."""
    return None if text is None else text.replace("\0", "\ufffd")


def _template(session: Session, template_id: str) -> Template:
    return _found(session.get(Template, _clean(template_id)), "template")


def _version(session: Session, version_id: str) -> Version:
    return _found(session.get(Version, _clean(version_id)), "version")


def _version_of(session: Session, version_id: str, template: Template) -> Version:
    version = _version(session, version_id)
    if version.template_id != template.id:
        raise conflict("wrong_template", f"version {version.name} is not one of the template {template.name}")
    return version


def _check_has_firmware(version: Version) -> None:
    if version.firmware_size is None:
        raise conflict("no_firmware", "the version has no firmware yet: upload it first")


def _product(session: Session, code: str) -> Product:
    return _found(session.scalar(select(Product).where(Product.code == _clean(code))), "product")


def _serial(session: Session, number: str) -> Serial:
    return serial_row(session, _clean(number) or "")


def _thing(session: Session, thing_id: str) -> Thing:
    return _found(session.get(Thing, _clean(thing_id)), "thing")


def _found(row: Row | None, what: str) -> Row:
    if row is None:
        raise not_found(what)
    return row


def _template_json(row: Template) -> schemas.Template:
    return schemas.Template(
        id=row.id,
        name=row.name,
        description=row.description,
        target_version=registry.summary_or_none(row.target),
        created=row.created_at,
    )


def _version_json(row: Version) -> schemas.Version:
    return schemas.Version(
        id=row.id,
        template=row.template_id,
        name=row.name,
        description=row.description,
        prototype=row.prototype,
        update_performed_by_thing=row.update_by_thing,
        update_to_version=row.update_to_id,
        update_automatic=row.update_automatic,
        published=row.template.target_version_id == row.id,
        created=row.created_at,
        firmware_size=row.firmware_size,
        firmware_sha256=row.firmware_sha256,
        release=row.release_digest,
        release_version=row.release_version,
    )


def _product_json(row: Product) -> schemas.Product:
    return schemas.Product(
        id=row.id, code=row.code, name=row.name, default_template=row.default_template_id, created=row.created_at
    )


def _serial_json(row: Serial) -> schemas.Serial:
    return schemas.Serial(
        serial_number=row.number,
        product=row.product.code,
        status=registry.status_of(row),
        template=registry.template_of(row).id,
        own_template=row.template_id is not None,
        target_version=registry.summary_or_none(registry.target_of(row)),
        own_target=row.target_version_id is not None,
        thing=row.thing.id if row.thing is not None else None,
        created=row.created_at,
    )


def _thing_json(row: Thing) -> schemas.Thing:
    return schemas.Thing(
        id=row.id,
        name=row.name,
        serial_number=row.serial.number,
        product=row.serial.product.code,
        status=registry.status_of(row.serial),
        owner=row.owner.name if row.owner is not None else None,
        current_version=registry.summary_or_none(row.current_version),
        version_confirmed=row.version_confirmed_at,
        target_version=registry.summary_or_none(registry.target_of(row.serial)),
        created=row.created_at,
        last_seen=row.last_seen_at,
        last_activation=row.last_activation_at,
        activation_count=row.activation_count,
        readings=registry.readings(row),
    )
