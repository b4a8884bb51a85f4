"""Calls of devices that speak MessagePack: provisioning, activation, firmware, readings."""

import logging
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response

from thermokeeper.contract import dms_schemas, schemas
from thermokeeper.server.dms.common import (
    ActivatedThing,
    CallingDevice,
    body_of,
    firmware_message,
    not_activated,
    packed,
)
from thermokeeper.server.http.context import ClientAddress, Ctx, limited
from thermokeeper.server.http.downloads import CONDITIONS, download_responses, send_firmware
from thermokeeper.server.http.messagepack import MessagePackResponse
from thermokeeper.server.http.responses import TOO_MANY_TRIES, refusals_of
from thermokeeper.server.http.streaming import FileResponse
from thermokeeper.server.http.things import Word, confirm_version, store_failure, take_points
from thermokeeper.server.refusals import blocked, not_found
from thermokeeper.server.rules import dms_provisioning, dms_standing, names, registry
from thermokeeper.server.rules.rows import find_version, thing_row
from thermokeeper.server.secrets import hashed
from thermokeeper.server.storage.models import Thing, Version

log = logging.getLogger("thermokeeper.server")

_refusals = refusals_of(
    {
        400: "malformed request",
        401: "credential missing or wrong",
        403: "the device is blocked",
        404: "no such version",
        409: "the device is not activated",
        413: "too many points, or too long a body",
        415: "the body is not MessagePack by its Content-Type",
    }
)
_NONE = {"description": "done"}

router = APIRouter(prefix="/dms/v1", tags=["dms"], default_response_class=MessagePackResponse)


# -- provisioning and activation ---------------------------------------------------------------------------------------


@router.post(
    "/provision",
    summary="Provision: a token buys a device its credential",
    response_model=dms_schemas.DmsProvisioned,
    openapi_extra=body_of(dms_schemas.DmsProvisionRequest),
    responses={
        **_refusals(
            *(400, 403, 409, 415),
            s403="the token is unknown, revoked, expired or for another device; or the device needs one of its own",
            s409="the token is spent: acknowledged by this device, or all its uses taken by others",
        ),
        **TOO_MANY_TRIES,
    },
)
def dms_provision(
    ctx: Ctx,
    client: ClientAddress,
    response: Response,
    body: Annotated[dms_schemas.DmsProvisionRequest, packed(dms_schemas.DmsProvisionRequest)],
) -> dms_schemas.DmsProvisioned:
    """No credential is needed. Until it is acknowledged each repetition gives a fresh one, drops the one before it,
    and takes no further use of the token.

    A device that has acknowledged is provisioned again only with a token for its uuid; the credential that it had
    stays good until the new one is used.
    """
    # a device is counted with its token: who only knows a uuid can't hold its device up
    with limited(ctx, client, "provision", hashed(body.token), body.uuid or ""), ctx.database.writing() as session:
        token = dms_provisioning.take(session, body.token, body.uuid)
        uuid = dms_provisioning.device_for(session, token, body.uuid)
        if dms_provisioning.is_blocked(session, uuid):
            raise blocked()
        credential = dms_provisioning.offer(session, token, uuid)
        token_id = token.id
    log.info("device %s is offered a credential by token %s", uuid, token_id)
    response.headers["Cache-Control"] = "no-store"
    return dms_schemas.DmsProvisioned(uuid=uuid, credential=credential)


@router.put(
    "/provision",
    summary="Acknowledge: the credential is kept",
    status_code=204,
    responses={204: _NONE, **_refusals(401, 403)},
)
def dms_acknowledge(_caller: CallingDevice) -> Response:
    """May be repeated. From now on the token buys this device nothing more, and a credential that it had before
    opens nothing. Any other call with the credential acknowledges it, too."""
    return Response(status_code=204)


@router.post(
    "/activate",
    summary="Activate: the device becomes one of a product",
    response_model=dms_schemas.DmsActivated,
    openapi_extra=body_of(dms_schemas.DmsActivateRequest),
    responses=_refusals(
        *(400, 401, 403, 404, 415),
        s403="not_claimed, no_access: it must be claimed by a user with access to the product; or it is blocked",
        s404="no product with this code",
    ),
)
def dms_activate(
    ctx: Ctx,
    caller: CallingDevice,
    body: Annotated[dms_schemas.DmsActivateRequest, packed(dms_schemas.DmsActivateRequest)],
) -> dms_schemas.DmsActivated:
    """May be repeated. Another code moves the device to that product: its thing stays the same, but what it runs is
    no longer known."""
    with ctx.database.writing() as session:
        serial = dms_standing.activate(session, caller.uuid, body.product_code)
        assert serial.thing is not None
        version = registry.target_of(serial)
        return dms_schemas.DmsActivated(
            product=serial.product.code,
            name=serial.product.name,
            thing=serial.thing.id,
            version=_version_message(version) if version is not None else None,
        )


# -- firmware ----------------------------------------------------------------------------------------------------------


@router.get(
    "/firmware",
    summary="What the device should run",
    response_model=dms_schemas.DmsFirmware,
    responses={204: {"description": "none set"}, **_refusals(401, 403, 409)},
)
async def dms_target(device: CallingDevice) -> Response:
    """Its own target version, or else what the template of its product has published."""
    if device.thing_id is None:
        raise not_activated()
    return _message_or_none(device.target)


@router.get(
    "/firmware/current",
    summary="What the device confirmed last",
    response_model=dms_schemas.DmsFirmware,
    responses={204: {"description": "none known"}, **_refusals(401, 403, 409)},
)
def dms_current(ctx: Ctx, thing_id: ActivatedThing) -> Response:
    with ctx.database.reading() as session:
        return _message_or_none(firmware_message(_thing(session.get(Thing, thing_id)).current_version))


@router.get(
    "/firmware/{version_id}",
    summary="The firmware itself",
    response_class=FileResponse,
    openapi_extra=CONDITIONS,
    responses=download_responses(_refusals(401, 403, 404, 409, s404="no such firmware for this device's product")),
)
def dms_firmware(ctx: Ctx, request: Request, version_id: str, thing_id: ActivatedThing) -> Response:
    """With a strong `ETag` and `Accept-Ranges`: a broken download goes on where it stopped. As in RFC 9110."""
    with ctx.database.reading() as session:
        version = find_version(session, version_id)
        if not registry.may_download(_thing(session.get(Thing, thing_id)), version) or version.firmware_size is None:
            raise not_found("firmware for this device's product")
    return send_firmware(ctx, request, version)


router.head("/firmware/{version_id}", include_in_schema=False)(dms_firmware)


@router.put(
    "/firmware",
    summary="The device confirms what it runs",
    status_code=204,
    openapi_extra=body_of(dms_schemas.DmsConfirmation),
    responses={
        204: _NONE,
        **_refusals(400, 401, 403, 404, 409, 415, s409="not a version of this device's product; or not activated"),
    },
)
def dms_confirm(
    ctx: Ctx,
    thing_id: ActivatedThing,
    body: Annotated[dms_schemas.DmsConfirmation, packed(dms_schemas.DmsConfirmation)],
) -> Response:
    """May be repeated: the same version again changes nothing."""
    with ctx.database.writing() as session:
        confirm_version(thing_row(session, thing_id), find_version(session, body.id))
    return Response(status_code=204)


@router.post(
    "/firmware/failure",
    summary="The device tells that a version failed, and why",
    status_code=204,
    openapi_extra=body_of(dms_schemas.DmsFailure),
    responses={204: _NONE, **_refusals(400, 401, 403, 409, 415)},
)
def dms_failure(
    ctx: Ctx, thing_id: ActivatedThing, body: Annotated[dms_schemas.DmsFailure, packed(dms_schemas.DmsFailure)]
) -> Response:
    """Kept with its thing, and as the property `updateFailure`, as other devices set it. May be repeated: the same
    within half an hour is counted once."""
    store_failure(ctx, thing_id, body.id, body.version, body.why)
    return Response(status_code=204)


# -- the thing and what it measures ------------------------------------------------------------------------------------


@router.post(
    "/events/{event}",
    summary="Deliver readings of an event",
    status_code=204,
    openapi_extra=body_of(list[schemas.DatapointIn]),
    responses={204: _NONE, **_refusals(400, 401, 403, 409, 413, 415)},
)
def dms_datapoints(
    ctx: Ctx,
    thing_id: ActivatedThing,
    event: Word,
    body: Annotated[list[schemas.DatapointIn], packed(list[schemas.DatapointIn])],
) -> Response:
    """May be repeated when the answer was lost: a point with the same event, `at` and value is taken once."""
    take_points(ctx, thing_id, event, body)
    return Response(status_code=204)


@router.put(
    "/thing",
    summary="Give the thing a name",
    response_model=dms_schemas.DmsThing,
    openapi_extra=body_of(dms_schemas.DmsThingUpdate),
    responses=_refusals(400, 401, 403, 409, 415, s400="name not allowed"),
)
def dms_rename(
    ctx: Ctx,
    thing_id: ActivatedThing,
    body: Annotated[dms_schemas.DmsThingUpdate, packed(dms_schemas.DmsThingUpdate)],
) -> dms_schemas.DmsThing:
    """A name has 1 to 64 printable characters and no space at an end. One that another thing of its owner has gets a
    number: the answer says which name it became."""
    with ctx.database.writing() as session:
        thing = thing_row(session, thing_id)
        names.give(session, thing, body.name)
        return dms_schemas.DmsThing(id=thing.id, name=thing.name)


def _thing(found: Thing | None) -> Thing:
    if found is None:
        raise not_activated()
    return found


def _message_or_none(message: dict[str, Any] | None) -> Response:
    return Response(status_code=204) if message is None else MessagePackResponse(message)


def _version_message(version: Version) -> dms_schemas.DmsVersion:
    return dms_schemas.DmsVersion(
        id=version.id, name=version.name, description=version.description, release=version.release_digest
    )
