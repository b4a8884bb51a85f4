"""Calls of the vendor: templates, their versions, and the firmware of those."""

from fastapi import Request, Response
from sqlalchemy import exists, select, tuple_
from sqlalchemy.orm import joinedload
from starlette.concurrency import run_in_threadpool

from thermokeeper.contract import schemas
from thermokeeper.contract.schemas import Page
from thermokeeper.server.http.context import Ctx
from thermokeeper.server.http.downloads import BINARY
from thermokeeper.server.http.pages import After, Limit, moment_and_id, moment_mark, page_of
from thermokeeper.server.http.responses import refusal
from thermokeeper.server.http.routers import BAD, CLASH, MISSING, vendor_router
from thermokeeper.server.refusals import conflict, not_found
from thermokeeper.server.rules import registry
from thermokeeper.server.rules.rows import check_has_firmware, clean, find_template, find_version, find_version_of
from thermokeeper.server.storage.firmware import Received
from thermokeeper.server.storage.models import Serial, Template, Thing, Version

router = vendor_router()

# -- templates ---------------------------------------------------------------------------------------------------------


@router.post(
    "/templates.json",
    summary="Create a template",
    status_code=201,
    response_model=schemas.Template,
    responses={**BAD, **CLASH},
)
def create_template(ctx: Ctx, body: schemas.TemplateRequest) -> schemas.Template:
    with ctx.database.writing() as session:
        if session.scalar(select(exists().where(Template.name == body.name))):
            raise conflict("exists", "there is a template of this name already")
        template = Template(name=body.name, description=body.description)
        session.add(template)
        session.flush()
        return _template_json(template)


@router.get(
    "/templates.json", summary="List the templates, by name", response_model=Page[schemas.Template], responses=BAD
)
def list_templates(ctx: Ctx, after: After = None, limit: Limit = 100) -> Page[schemas.Template]:
    with ctx.database.reading() as session:
        rows = select(Template).where(Template.name > (clean(after) or "")).order_by(Template.name)
        found, following = page_of(session, rows.options(joinedload(Template.target)), limit, lambda row: row.name)
        return Page(items=[_template_json(row) for row in found], next=following)


@router.get(
    "/templates/{template_id}.json", summary="Get a template", response_model=schemas.Template, responses=MISSING
)
def get_template(ctx: Ctx, template_id: str) -> schemas.Template:
    with ctx.database.reading() as session:
        return _template_json(find_template(session, template_id))


@router.delete(
    "/templates/{template_id}/target-version.json",
    summary="Withdraw what a template has published",
    status_code=204,
    responses=MISSING,
)
def withdraw(ctx: Ctx, template_id: str) -> Response:
    """Devices that have it keep it; the others are told that no target version is set."""
    with ctx.database.writing() as session:
        find_template(session, template_id).target = None
    return Response(status_code=204)


# -- versions ----------------------------------------------------------------------------------------------------------


@router.post(
    "/templates/{template_id}/versions.json",
    summary="Create a version of a template",
    status_code=201,
    response_model=schemas.Version,
    responses={**BAD, **MISSING, **CLASH},
)
def create_version(ctx: Ctx, template_id: str, body: schemas.VersionRequest) -> schemas.Version:
    """Its firmware is uploaded in a second call; then it can be published."""
    with ctx.database.writing() as session:
        template = find_template(session, template_id)
        if session.scalar(select(exists().where(Version.template_id == template.id, Version.name == body.name))):
            raise conflict("exists", "the template has a version of this name already")
        if body.update_to_version is not None:
            find_version_of(session, body.update_to_version, template)
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
    response_model=Page[schemas.Version],
    responses={**BAD, **MISSING},
)
def list_versions(ctx: Ctx, template_id: str, after: After = None, limit: Limit = 100) -> Page[schemas.Version]:
    with ctx.database.reading() as session:
        template = find_template(session, template_id)
        age = tuple_(Version.created_at, Version.id)
        rows = select(Version).where(Version.template_id == template.id, age > moment_and_id(after))
        rows = rows.order_by(Version.created_at, Version.id)
        found, following = page_of(session, rows, limit, lambda row: moment_mark(row.created_at, row.id))
        return Page(items=[_version_json(row) for row in found], next=following)


@router.get("/versions/{version_id}.json", summary="Get a version", response_model=schemas.Version, responses=MISSING)
def get_version(ctx: Ctx, version_id: str) -> schemas.Version:
    with ctx.database.reading() as session:
        return _version_json(find_version(session, version_id))


@router.patch(
    "/versions/{version_id}.json",
    summary="Change where a version leads",
    response_model=schemas.Version,
    responses={**BAD, **MISSING, **CLASH},
)
def change_version(ctx: Ctx, version_id: str, body: schemas.VersionChange) -> schemas.Version:
    """Name, prototype flag and firmware of a version never change."""
    with ctx.database.writing() as session:
        version = find_version(session, version_id)
        if "update_to_version" in body.model_fields_set:
            if body.update_to_version == version.id:
                raise conflict("same_version", "a version can't lead to itself")
            if body.update_to_version is not None:
                find_version_of(session, body.update_to_version, version.template)
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
    responses={**MISSING, **CLASH},
)
def delete_version(ctx: Ctx, version_id: str) -> Response:
    with ctx.database.writing() as session:
        version = find_version(session, version_id)
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
        400: refusal("empty, or a damaged release file"),
        **MISSING,
        409: refusal("the version has another firmware already: make a new version"),
        413: refusal("too large"),
    },
    openapi_extra={"requestBody": {"required": True, "content": BINARY}},
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
    responses={**MISSING, 409: refusal("a prototype, or a version without firmware")},
)
def publish(ctx: Ctx, version_id: str) -> schemas.Template:
    with ctx.database.writing() as session:
        version = find_version(session, version_id)
        check_has_firmware(version)
        if version.prototype:
            raise conflict("prototype", "a prototype can't be published; make it the target of chosen serial numbers")
        version.template.target = version
        session.flush()
        return _template_json(version.template)


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
