"""Calls of devices: activation, versions, firmware, readings."""

import json
import logging
import re
from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from thermokeeper.server import registry, schemas
from thermokeeper.server.challenge import check_proof, proving
from thermokeeper.server.context import CallingThing, Context, Ctx, OwnThing, blocked, limited, serial_row, thing_row
from thermokeeper.server.dms_models import DmsDevice
from thermokeeper.server.errors import ApiError, conflict, not_found
from thermokeeper.server.models import Datapoint, PropertyValue, Reading, Thing, Version
from thermokeeper.server.ranges import decide
from thermokeeper.server.schemas import ErrorBody, document, is_serial_number
from thermokeeper.server.secrets import hashed, new_key
from thermokeeper.server.streaming import Base64JsonResponse, FileResponse
from thermokeeper.server.times import now

log = logging.getLogger("thermokeeper.server")

_WORD = re.compile(schemas.WORD_PATTERN[1:-1])
Word = Annotated[str, Path(description="letters, digits, `_`, `-`, `.`; up to 64", examples=["temperature"])]

_REFUSALS = {
    400: "malformed request",
    401: "key missing or wrong",
    403: "the key is for another thing, or the serial is blocked",
    404: "no such thing",
    409: "not a version of this thing's template",
    413: "too many points, or too long a body",
}


def _refusals(*statuses: int, **other: str) -> schemas.Responses:
    """Refusals of a call for the page at /docs; `other` replaces descriptions: `s404="..."`."""
    return {status: document(ErrorBody, other.get(f"s{status}", _REFUSALS[status])) for status in statuses}


router = APIRouter(prefix="/v1", tags=["devices"])
activation = APIRouter(prefix="/v1/provision", tags=["devices"])


@activation.post(
    "/activate.json",
    summary="Activate: a serial number gets its thing and a new key",
    response_model=schemas.Activation,
    responses={
        400: document(ErrorBody, "malformed request"),
        403: document(ErrorBody, "blocked, or the proof is missing or wrong, or a device's of the DMS"),
        404: document(ErrorBody, "no such serial number"),
        429: {
            **document(ErrorBody, "too many tries"),
            "headers": {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}},
        },
    },
)
def activate(ctx: Ctx, request: Request, response: Response, body: schemas.ActivationRequest) -> schemas.Activation:
    """No key is needed. Every activation makes a new key and drops the old one, so that a thing has one key at most.

    A serial number without a thing gets one, with a generated name such as "Thermometer 2"; a thing that is there
    already stays as it is. A serial number that has a key for proofs needs `nonce` and `proof`; others don't, unless
    their product demands it.
    """
    number = body.serial_number
    client = request.client.host if request.client else ""
    tries = proving(client, number) if body.proof else number
    with limited(ctx, client, tries), ctx.database.writing() as session:
        if not is_serial_number(number):
            raise not_found("serial number")
        serial = serial_row(session, number)
        if serial.blocked:
            raise blocked()
        if session.get(DmsDevice, number) is not None:
            # its uuid is no secret: without this, whoever knows it would get a key to its thing
            raise ApiError(403, "other_service", "this device is provisioned with a token, at /dms/v1/provision")
        check_proof(ctx, serial, body)
        thing = serial.thing or registry.new_thing(session, serial)
        key = new_key()
        thing.key_hash = hashed(key)
        thing.last_activation_at = thing.last_seen_at = now()
        thing.activation_count += 1
        thing_id = thing.id
    log.info("serial %s activated as thing %s", number, thing_id)
    response.headers["Cache-Control"] = "no-store"
    return schemas.Activation(api_key=key, thing_id=thing_id)


# -- versions ----------------------------------------------------------------------------------------------------------


@router.get(
    "/things/{thing_id}/target-version.json",
    summary="Get target version: what the device should run",
    response_model=schemas.VersionSummary,
    response_model_exclude_none=True,
    responses={204: {"description": "none set"}, **_refusals(401, 403, 404)},
)
def get_target_version(ctx: Ctx, thing_id: OwnThing) -> schemas.VersionSummary | Response:
    """The serial number's own target version, or else what its template has published."""
    with ctx.database.reading() as session:
        version = registry.target_of(_thing(session, thing_id).serial)
        return registry.summary(version) if version is not None else Response(status_code=204)


@router.get(
    "/things/{thing_id}/version.json",
    summary="Get current version: what the device confirmed last",
    response_model=schemas.VersionSummary,
    response_model_exclude_none=True,
    responses={204: {"description": "none known"}, **_refusals(401, 403, 404)},
)
def get_current_version(ctx: Ctx, thing_id: OwnThing) -> schemas.VersionSummary | Response:
    with ctx.database.reading() as session:
        version = _thing(session, thing_id).current_version
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


def confirm_version(thing: Thing, version: Version) -> Version:
    """The locked thing runs this version. ApiError 409 if it isn't one of its template."""
    if thing.current_version_id != version.id:
        if version.template_id != registry.template_of(thing.serial).id:
            raise conflict("wrong_template", "this is not a version of the thing's template")
        thing.current_version = version
        thing.version_confirmed_at = now()
        log.info("thing %s confirms version %s (%s)", thing.id, version.name, version.id)
    return version


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
        found = registry.available_to(_thing(session, thing_id))
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
    size = version.firmware_size or 0
    file = ctx.firmware.open(version.id, size)
    return Base64JsonResponse(file, 0, size, {"Cache-Control": "private"})


BINARY = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
CONDITIONS = [
    {"name": name, "in": "header", "required": False, "schema": {"type": "string"}, "description": description}
    for name, description in (
        ("Range", "one range of bytes: `bytes=1000-`, `bytes=0-4095`, `bytes=-100`; several get the whole"),
        ("If-Range", "an ETag: the range only if the firmware is still that one, otherwise the whole"),
        ("If-Match", "ETags: 412 if the firmware is none of them"),
        ("If-None-Match", "ETags: 304 if the firmware is one of them"),
    )
]


@router.get(
    "/versions/{version_id}/firmware.bin",
    summary="Get version firmware, as it is",
    response_class=FileResponse,
    openapi_extra={"parameters": CONDITIONS},
    responses={
        200: {"description": "the whole firmware", "content": BINARY},
        206: {"description": "the range asked for, with Content-Range", "content": BINARY},
        304: {"description": "not modified: If-None-Match names the ETag"},
        **_refusals(401, 403, 404, s403=no_access, s404=no_file),
        412: document(ErrorBody, "If-Match names another ETag"),
        416: document(ErrorBody, "no such range; Content-Range says how long the firmware is"),
    },
)
def get_firmware(ctx: Ctx, request: Request, version_id: str, caller: CallingThing) -> Response:
    """With a strong `ETag` made of its SHA-256 and `Accept-Ranges`: a broken download goes on where it stopped.

    Conditions and ranges are those of RFC 9110.
    """
    return send_firmware(ctx, request, _firmware_for(ctx, version_id, caller))


router.head("/versions/{version_id}/firmware.bin", include_in_schema=False)(get_firmware)


def send_firmware(ctx: Context, request: Request, version: Version) -> Response:
    """The version's firmware, as the request's conditions and range have it. ApiError 412 or 416."""
    size = version.firmware_size or 0
    etag = f'"{version.firmware_sha256}"'
    decision = decide(
        size,
        etag,
        if_match=_header(request, "if-match"),
        if_none_match=_header(request, "if-none-match"),
        if_range=_header(request, "if-range"),
        range_=_header(request, "range") if request.method == "GET" else None,
    )
    headers = {"ETag": etag, "Accept-Ranges": "bytes", "Cache-Control": "private"}
    if decision.status == 304:
        return Response(status_code=304, headers=headers)
    if decision.status == 412:
        raise ApiError(412, "precondition_failed", "the firmware is not the one that If-Match names", {"ETag": etag})
    if decision.status == 416:
        headers["Content-Range"] = f"bytes */{size}"
        raise ApiError(416, "range_not_satisfiable", f"the firmware has {size} bytes", headers)
    if decision.status == 206:
        headers["Content-Range"] = f"bytes {decision.start}-{decision.end - 1}/{size}"
    file = ctx.firmware.open(version.id, size)
    return FileResponse(file, decision.start, decision.end - decision.start, headers, decision.status)


def _firmware_for(ctx: Ctx, version_id: str, thing_id: str) -> Version:
    with ctx.database.reading() as session:
        version = find_version(session, version_id)
        if not registry.may_download(_thing(session, thing_id), version):
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
    """A name has 1 to 64 printable characters and no space at an end."""
    with ctx.database.writing() as session:
        thing = thing_row(session, thing_id)
        thing.name = body.name
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
    responses=_refusals(400, 401, 403, 404, 413),
)
def add_datapoints(ctx: Ctx, thing_id: OwnThing, event: Word, body: list[schemas.DatapointIn]) -> Response:
    """May be repeated when the answer was lost: a point with the same event, `at` and value is taken once."""
    take_points(ctx, thing_id, event, body)
    return Response(status_code=204)


def take_points(ctx: Context, thing_id: str, event: str, points: list[schemas.DatapointIn]) -> None:
    """ApiError 400 or 413; otherwise each point is there once, however often it came."""
    _check_word(event, "event")
    limit = ctx.settings.limits.points_per_call
    if len(points) > limit:
        raise ApiError(413, "too_large", f"at most {limit} datapoints in one call")
    with ctx.database.writing() as session:
        thing = thing_row(session, thing_id)  # locks: the same points may arrive twice at once
        _store_points(session, thing.id, event, points)


def _store_points(session: Session, thing_id: str, event: str, points: Iterable[schemas.DatapointIn]) -> None:
    arrived = now()
    sent = [point.at for point in points if point.at is not None]
    same = select(Datapoint.sent_at, Datapoint.value).where(
        Datapoint.thing_id == thing_id, Datapoint.event == event, Datapoint.sent_at.in_(sent)
    )
    known = {(row.sent_at, row.value) for row in session.execute(same)} if sent else set()
    rows: list[dict[str, Any]] = []
    for point in points:
        if point.at is not None:
            if (point.at, point.value) in known:
                continue
            known.add((point.at, point.value))
        rows.append(
            {
                "thing_id": thing_id,
                "event": event,
                "value": point.value,
                "at": point.at or arrived,
                "sent_at": point.at,
                "arrived_at": arrived,
            }
        )
    if not rows:
        return
    session.execute(insert(Datapoint), rows)
    last = max(reversed(rows), key=lambda row: row["at"])
    reading = session.get(Reading, (thing_id, event))
    if reading is None:
        reading = Reading(thing_id=thing_id, event=event, value=last["value"], at=last["at"], count=0)
        session.add(reading)
    elif last["at"] >= reading.at:
        reading.value, reading.at = last["value"], last["at"]
    reading.count += len(rows)


@router.get(
    "/things/{thing_id}/properties/{name}/value.json",
    summary="Get property value",
    response_model=schemas.PropertyOut,
    responses=_refusals(400, 401, 403, 404, s404="no such thing, or the property was never set"),
)
def get_property(ctx: Ctx, thing_id: OwnThing, name: Word) -> schemas.PropertyOut:
    _check_word(name, "property")
    with ctx.database.reading() as session:
        row = session.get(PropertyValue, (thing_id, name))
        if row is None:
            raise not_found("property")
        return schemas.PropertyOut(value=json.loads(row.value), at=row.changed_at)


@router.put(
    "/things/{thing_id}/properties/{name}/value.json",
    summary="Set property value",
    status_code=204,
    responses=_refusals(400, 401, 403, 404, 413, s413="too long a value"),
)
def set_property(ctx: Ctx, thing_id: OwnThing, name: Word, body: schemas.PropertyIn) -> Response:
    """A number, a text (up to 1024 characters), true, false or null. A property is there once it is set."""
    _check_word(name, "property")
    text = json.dumps(body.value)
    if len(text) > ctx.settings.limits.property_bytes:
        raise ApiError(413, "too_large", f"a property's value has at most {ctx.settings.limits.property_bytes} bytes")
    store_property(ctx, thing_id, name, text)
    return Response(status_code=204)


def store_property(ctx: Context, thing_id: str, name: str, text: str) -> None:
    """Set a property to a value that is JSON already."""
    with ctx.database.writing() as session:
        thing_row(session, thing_id)
        row = session.get(PropertyValue, (thing_id, name))
        if row is None:
            row = PropertyValue(thing_id=thing_id, name=name)
            session.add(row)
        row.value, row.changed_at = text, now()


# -- helpers -----------------------------------------------------------------------------------------------------------


def _thing(session: Session, thing_id: str) -> Thing:
    thing = session.get(Thing, thing_id)
    if thing is None:
        raise not_found("thing")
    return thing


def find_version(session: Session, version_id: str) -> Version:
    version = session.get(Version, version_id) if version_id.isalnum() else None
    if version is None:
        raise not_found("version")
    return version


def _check_word(word: str, what: str) -> None:
    if not _WORD.fullmatch(word):
        raise ApiError(400, "bad_request", f"the name of the {what} is not allowed: letters, digits, _ - . up to 64")


def _header(request: Request, name: str) -> str | None:
    """A header's fields as one list, as RFC 9110 5.3 combines them."""
    values = request.headers.getlist(name)
    return ", ".join(values) if values else None
