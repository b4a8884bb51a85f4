"""Calls of devices with a key: versions, firmware, readings."""

import json

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from thermokeeper.contract import schemas
from thermokeeper.contract.fields import is_id
from thermokeeper.server.gadgetkeeper import original
from thermokeeper.server.http.context import CallingThing, Ctx, OwnDevice, OwnThing
from thermokeeper.server.http.downloads import CONDITIONS, download_responses, open_firmware, send_firmware
from thermokeeper.server.http.responses import document, refusal, refusals_of
from thermokeeper.server.http.streaming import Base64JsonResponse, FileResponse
from thermokeeper.server.http.things import Word, check_word, confirm_version, store_property, take_points_async
from thermokeeper.server.refusals import ApiError, not_found
from thermokeeper.server.rules import names, registry
from thermokeeper.server.rules.names import name_of
from thermokeeper.server.rules.rows import find_thing, find_version, thing_row
from thermokeeper.server.storage.models import PropertyValue, Reading, Version

_refusals = refusals_of(
    {
        400: "malformed request",
        401: "key missing or wrong",
        403: "the key is for another thing, or the serial is blocked",
        404: "no such thing",
        409: "not a version of this thing's template",
        413: "too many points, or too long a body",
    }
)

router = APIRouter(prefix="/v1", tags=["devices"])


# -- versions ----------------------------------------------------------------------------------------------------------


@router.get(
    "/things/{thing_id}/target-version.json",
    summary="Get target version: what the device should run",
    response_model=schemas.VersionSummary,
    response_model_exclude_none=True,
    responses={204: {"description": "none set"}, **_refusals(401, 403, 404)},
)
async def get_target_version(device: OwnDevice) -> Response:
    """The serial number's own target version, or else what its template has published."""
    if device.target is None:
        return Response(status_code=204)
    return Response(device.target, media_type="application/json")


@router.get(
    "/things/{thing_id}/version.json",
    summary="Get current version: what the device confirmed last",
    response_model=schemas.VersionSummary,
    response_model_exclude_none=True,
    responses={204: {"description": "none known"}, **_refusals(401, 403, 404)},
)
def get_current_version(ctx: Ctx, thing_id: OwnThing) -> schemas.VersionSummary | Response:
    with ctx.database.reading() as session:
        version = find_thing(session, thing_id).current_version
        return registry.summary(version) if version is not None else Response(status_code=204)


@router.put(
    "/things/{thing_id}/version.json",
    summary="Switch thing to a version: the device confirms what it runs",
    response_model=schemas.VersionSummary,
    response_model_exclude_none=True,
    responses=_refusals(400, 401, 403, 404, 409, s404="no such thing or version"),
)
def switch_version(ctx: Ctx, thing_id: OwnThing, body: schemas.SwitchRequest) -> schemas.VersionSummary:
    """May be repeated: the same version again changes nothing."""
    with ctx.database.writing() as session:
        return registry.summary(confirm_version(thing_row(session, thing_id), find_version(session, body.id)))


@router.get(
    "/things/{thing_id}/available-versions.json",
    summary="Get available versions: the updates for what the device runs",
    response_model=list[schemas.AvailableVersion],
    response_model_exclude_none=True,
    responses=_refusals(401, 403, 404),
)
def get_available_versions(ctx: Ctx, thing_id: OwnThing) -> list[schemas.AvailableVersion]:
    """First the version that the current one leads to ("update to version"), then the target version.

    `automatic`: the device may take it without asking its owner ("update automatic" of the current version, or
    "update performed by thing" of the target). What the device runs already is not in the list.
    """
    with ctx.database.reading() as session:
        found = registry.available_to(find_thing(session, thing_id))
        return [schemas.AvailableVersion(**dict(registry.summary(version)), automatic=auto) for version, auto in found]


@router.get(
    "/versions/{version_id}/firmware.json",
    summary="Get version firmware, as base64 text in JSON",
    response_class=Base64JsonResponse,
    responses={
        200: document(schemas.FirmwareText, "the whole firmware"),
        **_refusals(401, 403, 404, s403=(no_access := "not for this thing"), s404=(no_file := "no such firmware")),
    },
)
def get_firmware_text(ctx: Ctx, version_id: str, caller: CallingThing) -> Response:
    """Streamed, with its exact Content-Length: a device can decode it as it arrives."""
    version = _firmware_for(ctx, version_id, caller)
    return Base64JsonResponse(open_firmware(ctx, version), 0, version.firmware_size or 0, {"Cache-Control": "private"})


@router.get(
    "/versions/{version_id}/firmware.bin",
    summary="Get version firmware, as it is",
    response_class=FileResponse,
    openapi_extra=CONDITIONS,
    responses=download_responses(_refusals(401, 403, 404, s403=no_access, s404=no_file)),
)
def get_firmware(ctx: Ctx, request: Request, version_id: str, caller: CallingThing) -> Response:
    """With a strong `ETag` made of its SHA-256 and `Accept-Ranges`: a broken download goes on where it stopped.

    Conditions and ranges are those of RFC 9110.
    """
    return send_firmware(ctx, request, _firmware_for(ctx, version_id, caller))


router.head("/versions/{version_id}/firmware.bin", include_in_schema=False)(get_firmware)


def _firmware_for(ctx: Ctx, version_id: str, thing_id: str) -> Version:
    with ctx.database.reading() as session:
        version = find_version(session, version_id)
        if not registry.may_download(find_thing(session, thing_id), version):
            raise ApiError(403, "forbidden", "this version is not for this thing")
        if version.firmware_size is None:
            raise not_found("firmware: the version has none yet")
        return version


# -- the thing and what it measures ------------------------------------------------------------------------------------


@router.put(
    "/things/{thing_id}.json",
    summary="Update thing: give it a name",
    response_model=schemas.ThingSummary,
    responses=_refusals(400, 401, 403, 404, s400="name not allowed"),
)
def update_thing(ctx: Ctx, thing_id: OwnThing, body: schemas.ThingUpdate) -> schemas.ThingSummary:
    """A name has 1 to 64 printable characters and no space at an end. One that another thing of its owner has gets a
    number: the answer says which name it became."""
    with ctx.database.writing() as session:
        thing = thing_row(session, thing_id)
        names.give(session, thing, body.name)
        return schemas.ThingSummary(
            id=thing.id,
            name=thing.name,
            serial_number=thing.serial.number,
            product=thing.serial.product.code,
            created=thing.created_at,
        )


@router.post(
    "/things/{thing_id}/events/{event}/datapoints.json",
    summary="Event datapoints: deliver readings",
    status_code=204,
    responses={
        **_refusals(400, 401, 403, 404, 413, s404="no such thing, or an id of no event"),
        429: refusal("too many of this thing; Retry-After says when"),
    },
)
async def add_datapoints(ctx: Ctx, thing_id: OwnThing, event: Word, body: list[schemas.DatapointIn]) -> Response:
    """May be repeated when the answer was lost: a point with the same event, `at` and value is taken once.

    An event is there with its first point, sent by its name; then its id may stand for that."""
    check_word(event, "event")
    if is_id(event):
        event = await run_in_threadpool(_event_named, ctx, thing_id, event)
    await take_points_async(ctx, thing_id, event, body)
    return Response(status_code=204)


@router.get(
    "/things/{thing_id}/properties/{name}/value.json",
    summary="Get property value",
    response_model=schemas.PropertyOut,
    responses={
        **original.VALUE_RESPONSES,
        **_refusals(400, 401, 403, 404, s404="no such thing, or the property was never set"),
    },
)
def get_property(
    ctx: Ctx, request: Request, response: Response, thing_id: OwnThing, name: Word
) -> schemas.PropertyOut | Response:
    """`{"value", "at"}`, or the value itself for who says `Accept: text/json`. The name may be its id."""
    check_word(name, "property")
    with ctx.database.reading() as session:
        row = session.get(PropertyValue, (thing_id, name_of(session, PropertyValue, thing_id, name)))
        if row is None:
            raise not_found("property")
        if original.wants_bare(request):
            return Response(row.value, media_type=original.MEDIA_TYPE, headers={"Vary": "Accept"})
        response.headers["Vary"] = "Accept"
        return schemas.PropertyOut(value=json.loads(row.value), at=row.changed_at)


@router.put(
    "/things/{thing_id}/properties/{name}/value.json",
    summary="Set property value",
    status_code=204,
    responses=_refusals(
        400, 401, 403, 404, 413, s404="no such thing, or an id of no property", s413="too long a value"
    ),
)
def set_property(ctx: Ctx, thing_id: OwnThing, name: Word, body: schemas.PropertyBody) -> Response:
    """A number, a text (up to 1024 characters), true, false or null, in an object or by itself. A property is there
    once it is set by its name; then its id may stand for that.

    `updateFailure`, set to `version (version id): why`, is kept as a failure of the thing, too; the same within half an
    hour is counted once.
    """
    check_word(name, "property")
    if is_id(name):
        with ctx.database.reading() as session:
            name = name_of(session, PropertyValue, thing_id, name)
    text = json.dumps(body.value)
    if len(text) > ctx.settings.limits.property_bytes:
        raise ApiError(413, "too_large", f"a property's value has at most {ctx.settings.limits.property_bytes} bytes")
    store_property(ctx, thing_id, name, text)
    return Response(status_code=204)


def _event_named(ctx: Ctx, thing_id: str, word: str) -> str:
    with ctx.database.reading() as session:
        return name_of(session, Reading, thing_id, word)
