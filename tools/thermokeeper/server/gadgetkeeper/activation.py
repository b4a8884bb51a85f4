"""Activation, without a key: a nonce for a device that has a secret, its proof, and a thing with a new key."""

import logging

from fastapi import APIRouter, Response
from sqlalchemy import exists, select
from sqlalchemy.orm import Session, object_session

from thermokeeper.contract import schemas
from thermokeeper.contract.fields import is_serial_number
from thermokeeper.contract.times import now
from thermokeeper.server.http.context import ClientAddress, Context, Ctx, limited
from thermokeeper.server.http.responses import TOO_MANY_TRIES, Responses, refusal
from thermokeeper.server.refusals import ApiError, blocked, not_found, too_many_tries
from thermokeeper.server.rules import registry
from thermokeeper.server.rules.proofs import is_right
from thermokeeper.server.rules.rows import find_serial
from thermokeeper.server.secrets import hashed, new_key
from thermokeeper.server.storage.dms_models import DmsDevice
from thermokeeper.server.storage.models import Product, Serial

log = logging.getLogger("thermokeeper.server")

router = APIRouter(prefix="/v1/provision", tags=["devices"])

ACTIVATION_REFUSALS: Responses = {
    400: refusal("malformed request"),
    403: refusal("blocked, or the proof is missing or wrong, or a device's of the DMS"),
    404: refusal("no such serial number"),
    **TOO_MANY_TRIES,
}


@router.post(
    "/challenge.json",
    summary="Challenge: a nonce for the activation of a device that has a secret",
    response_model=schemas.Challenge,
    responses={400: refusal("malformed request"), **TOO_MANY_TRIES},
)
def challenge(ctx: Ctx, client: ClientAddress, response: Response, body: schemas.ChallengeRequest) -> schemas.Challenge:
    """No key is needed, and the answer doesn't tell whether there is such a serial number."""
    number = body.serial_number if is_serial_number(body.serial_number) else ""  # else each text has tries of its own
    with limited(ctx, client, "challenge", number, client):
        nonce = ctx.nonces.give(body.serial_number)
    response.headers["Cache-Control"] = "no-store"
    return schemas.Challenge(nonce=nonce)


@router.post(
    "/activate.json",
    summary="Activate: a serial number gets its thing and a new key",
    response_model=schemas.Activation,
    responses=ACTIVATION_REFUSALS,
)
def activate(
    ctx: Ctx, client: ClientAddress, response: Response, body: schemas.ActivationRequest
) -> schemas.Activation:
    """No key is needed. Every activation makes a new key and drops the old one, so that a thing has one key at most.

    A serial number without a thing gets one, with a generated name such as "Thermometer 2"; a thing that is there
    already stays as it is. A serial number that has a key for proofs needs `nonce` and `proof`; others don't, unless
    their product demands it.
    """
    number = body.serial_number
    # Who only knows a serial number can't use up the tries of a device that proves itself: those are its address's.
    tries = ("proof", number, client) if body.proof else ("activate", number)
    with limited(ctx, client, *(tries if is_serial_number(number) else ())):
        return _activate(ctx, response, body)


def _activate(ctx: Context, response: Response, body: schemas.ActivationRequest) -> schemas.Activation:
    number = body.serial_number
    # by itself: it is taken whatever comes of the proof
    fresh = body.proof is not None and body.nonce is not None and ctx.nonces.take(body.nonce, number)
    with ctx.database.writing() as session:
        serial = find_serial(session, number) if is_serial_number(number) else None
        if serial is None:
            raise _unknown(session, body)
        _check_proof(ctx, serial, body, fresh)
        if serial.blocked:
            raise blocked()
        if session.get(DmsDevice, number) is not None:
            # its uuid is no secret: without this, whoever knows it would get a key to its thing
            raise ApiError(403, "other_service", "this device is provisioned with a token, at /dms/v1/provision")
        thing = serial.thing or registry.new_thing(session, serial)
        key = new_key()
        thing.key_hash = hashed(key)
        thing.last_activation_at = thing.last_seen_at = now()
        thing.activation_count += 1
        thing_id = thing.id
    log.info("serial %s activated as thing %s", number, thing_id)
    response.headers["Cache-Control"] = "no-store"
    return schemas.Activation(api_key=key, thing_id=thing_id)


def _unknown(session: Session, body: schemas.ActivationRequest) -> ApiError:
    """What is said of a number that there isn't: where products demand proofs, no more than of one that there is."""
    if body.proof is not None:
        return _wrong_proof()
    if session.scalar(select(exists().where(Product.proof_required))):
        return _proof_missing()
    return not_found("serial number")


def _proof_missing() -> ApiError:
    message = "this device has to prove itself: ask for a nonce at /v1/provision/challenge.json"
    return ApiError(403, "proof_required", message)


def _wrong_proof() -> ApiError:
    return ApiError(403, "proof_wrong", "the proof isn't right, or its nonce is used or too old")


def _check_proof(ctx: Context, serial: Serial, body: schemas.ActivationRequest, fresh: bool) -> None:
    """ApiError 403 unless the device of this serial number has proved itself, or needn't. fresh: its nonce is."""
    if serial.proof_key is None:
        if serial.product.proof_required:
            log.warning("serial %s: its product demands proofs, and the server has no key of it", serial.number)
            raise _wrong_proof() if body.proof is not None else _proof_missing()
        if body.proof is not None:  # tells nothing here, and mustn't open another way to try
            session = object_session(serial)
            if wait_s := ctx.by_serial.take("activate", serial.number, session=session):
                raise too_many_tries(wait_s)
            ctx.by_serial.succeeded("activate", serial.number, session=session)
        return
    if body.nonce is None or body.proof is None:
        raise _proof_missing()
    if not is_right(body.proof, serial.proof_key, serial.number, body.nonce) or not fresh:
        log.warning("serial %s: wrong proof at activation", serial.number)
        raise _wrong_proof()
