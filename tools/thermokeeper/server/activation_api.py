"""Activation's first half, for devices with a secret: a nonce; and whether its device has proved itself."""

import logging

from fastapi import APIRouter, Request, Response

from thermokeeper.server import schemas
from thermokeeper.server.context import Context, Ctx, limited, too_many_tries
from thermokeeper.server.errors import ApiError
from thermokeeper.server.models import Serial
from thermokeeper.server.proofs import is_right
from thermokeeper.server.schemas import ErrorBody, document

log = logging.getLogger("thermokeeper.server")

router = APIRouter(prefix="/v1/provision", tags=["devices"])


@router.post(
    "/challenge.json",
    summary="Challenge: a nonce for the activation of a device that has a secret",
    response_model=schemas.Challenge,
    responses={
        400: document(ErrorBody, "malformed request"),
        429: {
            **document(ErrorBody, "too many tries"),
            "headers": {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}},
        },
    },
)
def challenge(ctx: Ctx, request: Request, response: Response, body: schemas.ChallengeRequest) -> schemas.Challenge:
    """No key is needed, and the answer doesn't tell whether there is such a serial number."""
    client = request.client.host if request.client else ""
    with limited(ctx, client, proving(client, body.serial_number)):
        nonce = ctx.nonces.give(body.serial_number)
    response.headers["Cache-Control"] = "no-store"
    return schemas.Challenge(nonce=nonce)


def proving(client: str, number: str) -> str:
    """Whose tries are counted, where a proof is given: else who knows a serial number could use up its device's."""
    return f"{client} {number}"


def check_proof(ctx: Context, serial: Serial, body: schemas.ActivationRequest) -> None:
    """ApiError 403 unless the device of this serial number has proved itself, or needn't."""
    if serial.proof_key is None:
        if serial.product.proof_required:
            message = "devices of this product have to prove themselves, and of this one the server has no key"
            raise ApiError(403, "proof_required", message)
        if body.proof is not None:  # tells nothing here, and mustn't open another way to try
            if wait_s := ctx.by_serial.take(serial.number):
                raise too_many_tries(wait_s)
            ctx.by_serial.succeeded(serial.number)
        return
    if body.nonce is None or body.proof is None:
        message = "this device has to prove itself: ask for a nonce at /v1/provision/challenge.json"
        raise ApiError(403, "proof_required", message)
    fresh = ctx.nonces.take(body.nonce, serial.number)
    if not is_right(body.proof, serial.proof_key, serial.number, body.nonce) or not fresh:
        log.warning("serial %s: wrong proof at activation", serial.number)
        raise ApiError(403, "proof_wrong", "the proof isn't right, or its nonce is used or too old")
