"""How the original service had it, beside ours: activation by PUT, and bare property values.

Programs of that time sent `text/json`. Nothing else of the server knows these forms.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from thermokeeper.contract import schemas
from thermokeeper.contract.fields import SerialNumber
from thermokeeper.server.gadgetkeeper import activation
from thermokeeper.server.http.context import ClientAddress, Ctx
from thermokeeper.server.http.responses import TOO_MANY_TRIES, refusal

_TEXT_JSON = "text/json"


class OriginalRoute(APIRoute):
    """Takes a body of the type `text/json` as JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def as_json(request: Request) -> Response:
            if request.headers.get("content-type", "").lower().startswith(_TEXT_JSON):
                headers = [pair for pair in request.scope["headers"] if pair[0] != b"content-type"]
                request = Request(
                    {**request.scope, "headers": [*headers, (b"content-type", b"application/json")]}, request.receive
                )
            return await handle(request)

        return as_json


router = APIRouter(prefix="/v1", tags=["devices"])


@router.put(
    "/things/activate/{serial}.json",
    summary="Activate, as the original service had it: no body",
    response_model=schemas.Activation,
    responses={
        400: refusal("not a serial number"),
        403: refusal("blocked, or a proof is demanded, or a device's of the DMS"),
        404: refusal("no such serial number"),
        **TOO_MANY_TRIES,
    },
)
def activate_as_originally(
    ctx: Ctx, client: ClientAddress, response: Response, serial: SerialNumber
) -> schemas.Activation:
    """The same as `POST /v1/provision/activate.json` without a proof: with its limits, and refused as that is."""
    return activation.activate(ctx, client, response, schemas.ActivationRequest(serial_number=serial))


def wants_bare(request: Request) -> bool:
    """Whether the caller asks for the bare value of a property: `Accept: text/json`."""
    return _TEXT_JSON in request.headers.get("accept", "").lower()


def bare(text: str) -> Response:
    """A JSON value by itself."""
    return Response(text, media_type=f"{_TEXT_JSON}; charset=UTF-8")
