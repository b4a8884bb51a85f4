"""How the original service had it, where ours differs; what such a call does is done by the calls beside it.

Activation by path and without a body, a property's value without an object around it, bodies that are called text/json,
and a thing that is made of a name alone, which is refused here: a thing is a device's.
"""

from typing import Annotated, NoReturn

from fastapi import APIRouter, Path, Request, Response
from pydantic import TypeAdapter
from starlette.types import ASGIApp, Receive, Scope, Send

from thermokeeper.contract import schemas
from thermokeeper.contract.fields import Scalar
from thermokeeper.server.gadgetkeeper.activation import ACTIVATION_REFUSALS, activate
from thermokeeper.server.http.context import CallingOwner, ClientAddress, Ctx
from thermokeeper.server.http.responses import Responses, refusal
from thermokeeper.server.refusals import conflict

MEDIA_TYPE = "text/json"
_CONTENT_TYPE = b"content-type"

router = APIRouter(prefix="/v1")


@router.put(
    "/things/activate/{serial}.json",
    summary="Activate, as the original service had it: by path, without a body",
    tags=["devices"],
    response_model=schemas.Activation,
    responses=ACTIVATION_REFUSALS,
)
def activate_by_path(
    ctx: Ctx,
    client: ClientAddress,
    response: Response,
    serial: Annotated[str, Path(max_length=200, examples=["THERM00000000000001"])],
) -> schemas.Activation:
    """The same as `POST /v1/provision/activate.json` with this serial number and no proof, with the same limits: one
    that has to prove itself is refused here as it is there. A body isn't looked at."""
    return activate(ctx, client, response, schemas.ActivationRequest(serial_number=serial))


@router.post(
    "/things.json",
    summary="Create a thing of a name alone: refused, a thing comes with its device",
    tags=["owners"],
    status_code=409,
    response_model=schemas.ErrorBody,
    response_description="always, with the code `needs_device`: claim the device by its serial number",
    responses={400: refusal("malformed request, or name not allowed"), 401: refusal("owner token missing or wrong")},
)
def create_thing(owner_id: CallingOwner, body: schemas.ThingOfName) -> NoReturn:
    """The original service answered with the id of a thing that any device of the account could speak for. Here a key
    is a device's, and a device has a serial number: a thing without one could never be heard of.
    `POST /v1/owner/claims.json` makes a thing before its device first calls, with this name."""
    message = "a thing comes with its device: claim that by its serial number, at /v1/owner/claims.json"
    raise conflict("needs_device", message)


# -- a property's value ------------------------------------------------------------------------------------------------

_bare = {MEDIA_TYPE: {"schema": TypeAdapter(Scalar).json_schema()}}
VALUE_RESPONSES: Responses = {
    200: {
        "content": _bare,
        "description": "the value; with `Accept: text/json` itself, as the original service had it (`21.5`)",
    }
}


def wants_bare(request: Request) -> bool:
    """Whether the caller names the original's type. One that takes anything gets ours: it may know no other."""
    named = (part.partition(";")[0].strip().lower() for part in request.headers.get("accept", "").split(","))
    return MEDIA_TYPE in named


class TextJson:
    """ASGI middleware: a body that the original's callers call text/json is JSON."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] in ("POST", "PUT"):
            for index, (name, value) in enumerate(scope["headers"]):
                if name == _CONTENT_TYPE and value.lower().startswith(MEDIA_TYPE.encode()):
                    headers = [*scope["headers"]]
                    headers[index] = name, b"application/json"
                    scope = {**scope, "headers": headers}
                    break
        await self._app(scope, receive, send)
