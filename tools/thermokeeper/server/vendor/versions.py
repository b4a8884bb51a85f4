"""Calls of the vendor: the versions of a template, their firmware, and what is published."""

from fastapi import Request, Response
from sqlalchemy import exists, select, tuple_
from sqlalchemy.orm import Session, joinedload, selectinload
from starlette.concurrency import run_in_threadpool

from thermokeeper.contract import schemas
from thermokeeper.contract.schemas import Page
from thermokeeper.server.http.context import Ctx
from thermokeeper.server.http.downloads import BINARY
from thermokeeper.server.http.pages import After, Limit, moment_and_id, moment_mark, page_of
from thermokeeper.server.http.releases import read_releases
from thermokeeper.server.http.responses import refusal
from thermokeeper.server.http.routers import BAD, CLASH, MISSING, NOT_GIVEN, vendor_router
from thermokeeper.server.refusals import ApiError, conflict
from thermokeeper.server.rules import audit, publishing, releases
from thermokeeper.server.rules.rows import check_has_firmware, find_template, find_version, find_version_of, version_row
from thermokeeper.server.storage.firmware import Received
from thermokeeper.server.storage.models import Serial, Template, Thing, Version, VersionDownload
from thermokeeper.server.vendor.templates import template_json

router = vendor_router()


@router.post(
    "/templates/{template_id}/versions.json",
    summary="Create a version of a template",
    status_code=201,
    response_model=schemas.Version,
    responses={**BAD, **MISSING, 409: refusal(f"there is one already, or it can't lead there; {NOT_GIVEN}")},
)
def create_version(ctx: Ctx, template_id: str, body: schemas.VersionRequest) -> schemas.Version:
    """Its firmware is uploaded in a second call; then it can be published."""
    if body.update_to_version is not None:
        read_releases(ctx, body.update_to_version)
    with ctx.database.writing() as session:
        template = find_template(session, template_id)
        if session.scalar(select(exists().where(Version.template_id == template.id, Version.name == body.name))):
            raise conflict("exists", "the template has a version of this name already")
        leads_to = find_version_of(session, body.update_to_version, template) if body.update_to_version else None
        version = Version(
            template=template,
            name=body.name,
            description=body.description,
            prototype=body.prototype,
            update_by_thing=body.update_performed_by_thing,
            update_to=leads_to,
            update_automatic=body.update_automatic,
        )
        session.add(version)
        session.flush()
        audit.changed(session, "version.created", _name(version), f"id {version.id}")
        if leads_to is not None:
            _lead(session, version, leads_to, body.force)
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
        rows = rows.order_by(Version.created_at, Version.id).options(
            joinedload(Version.template), selectinload(Version.downloads).joinedload(VersionDownload.origin)
        )
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
    responses={**BAD, **MISSING, 409: refusal(f"there is one already, or it can't lead there; {NOT_GIVEN}")},
)
def change_version(ctx: Ctx, version_id: str, body: schemas.VersionChange) -> schemas.Version:
    """Name, prototype flag and firmware of a version never change."""
    if body.update_to_version is not None:
        read_releases(ctx, body.update_to_version, version_id)
    with ctx.database.writing() as session:
        version = find_version(session, version_id)
        if "update_to_version" in body.model_fields_set:
            if body.update_to_version == version.id:
                raise conflict("same_version", "a version can't lead to itself")
            leads_to = None
            if body.update_to_version is not None:
                leads_to = find_version_of(session, body.update_to_version, version.template)
                if version.update_to_id != leads_to.id:
                    _lead(session, version, leads_to, body.force)
            version.update_to = leads_to
        if body.description is not None:
            version.description = body.description
        if body.update_automatic is not None:
            version.update_automatic = body.update_automatic
        if body.update_performed_by_thing is not None:
            version.update_by_thing = body.update_performed_by_thing
        session.flush()
        audit.changed(session, "version.changed", _name(version), ", ".join(sorted(body.model_fields_set)))
        return _version_json(version)


def _lead(session: Session, version: Version, to: Version, force: bool) -> None:
    """Devices that run the version are offered the other one. ApiError 409 if they can't have it."""
    check_has_firmware(to)
    publishing.give(session, to, publishing.products_of(session, version.template), version, force)


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
        audit.changed(session, "version.deleted", _name(version), f"id {version.id}")
        ctx.firmware.forget(version_id, session)
        releases.forget(session, version.id)
        session.delete(version)
    ctx.firmware.remove(version_id)
    return Response(status_code=204)


@router.put(
    "/versions/{version_id}/firmware.bin",
    summary="Upload the firmware of a version",
    response_model=schemas.Version,
    responses={
        400: refusal("empty, or a release file that is damaged anywhere"),
        **MISSING,
        409: refusal("the version has another firmware already: make a new version"),
        413: refusal("too large"),
    },
    openapi_extra={"requestBody": {"required": True, "content": BINARY}},
)
async def upload_firmware(ctx: Ctx, request: Request, version_id: str) -> schemas.Version:
    """The body is the file as it is. The same file again changes nothing; another one is refused.

    A release file is recognised and read to its end; its digest and version then go to the devices as `release` and
    `release_version`. Whether devices may have it is asked when it is published, or given to some of them.
    """
    await run_in_threadpool(get_version, ctx, version_id)  # 404 before anything is taken in
    received = await ctx.firmware.receive(request.stream())
    return await run_in_threadpool(_keep_firmware, ctx, version_id, received)


def _keep_firmware(ctx: Ctx, version_id: str, received: Received) -> schemas.Version:
    try:
        with ctx.database.writing() as session:
            version = version_row(session, version_id)
            if version.firmware_sha256 not in (None, received.sha256):
                raise conflict("has_firmware", "the version has another firmware already: make a new version")
            if version.firmware_sha256 is None:
                version.firmware_size = received.size
                version.firmware_sha256 = received.sha256
                if received.release is not None:
                    version.release_digest = received.release.digest
                    version.release_version = received.release.version
                detail = f"{received.size} bytes, SHA-256 {received.sha256}"
                audit.changed(session, "version.firmware_uploaded", _name(version), detail)
                ctx.firmware.keep(received, version_id, session)
    finally:
        ctx.firmware.drop(received)
    try:
        read_releases(ctx, version_id)
    except ApiError as error:
        if error.code != "bad_release":
            raise
        _take_back(ctx, version_id, received.sha256)
        raise ApiError(400, error.code, error.message) from None
    with ctx.database.writing() as session:
        version = version_row(session, version_id)
        releases.keep_downloads(session, version)
        return _version_json(version)


def _take_back(ctx: Ctx, version_id: str, sha256: str) -> None:
    """Its release turned out to be damaged: it may be uploaded again. Until now nothing could be published of it."""
    with ctx.database.writing() as session:
        version = version_row(session, version_id)
        if version.firmware_sha256 == sha256:
            version.firmware_size = version.firmware_sha256 = None
            version.release_digest = version.release_version = None
            session.flush()
            ctx.firmware.forget(version_id, session)
            ctx.firmware.remove(version_id)  # in the lock: else that of another upload, perhaps


@router.post(
    "/versions/{version_id}/publish.json",
    summary="Publish a version: devices of its template should run it",
    response_model=schemas.Template,
    responses={**BAD, **MISSING, 409: refusal(f"a prototype, or a version without firmware; {NOT_GIVEN}")},
)
def publish(ctx: Ctx, version_id: str, body: schemas.PublishRequest | None = None) -> schemas.Template:
    """May be repeated: what is published already is not judged again.

    Its release must be one that the boards of all products of the template take: whole, signed with a key of the
    product, for the product, within the slots of its flash map, not expired. 409 `unusual`, if not forced: no key is
    known for the product, the firmware is no release file, it expires within a week, its number isn't higher than
    that of what is published, it brings no keys, or boards that run an earlier version would refuse it.
    """
    read_releases(ctx, version_id)
    with ctx.database.writing() as session:
        version = version_row(session, version_id)
        check_has_firmware(version)
        if version.prototype:
            raise conflict("prototype", "a prototype can't be published; make it the target of chosen serial numbers")
        publishing.publish(session, version, body is not None and body.force)
        audit.changed(session, "version.published", _name(version), f"id {version.id}")
        return template_json(version.template)


def _name(version: Version) -> str:
    """As commands name it, too."""
    return f"{version.template.name}/{version.name}"


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
        published_at=row.published_at,
        downloads=[
            schemas.Download(from_version=one.from_version_id, name=one.origin.name, size=one.size)
            for one in row.downloads
        ],
    )
