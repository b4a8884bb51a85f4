"""What the calls in MessagePack share: the body, taken in and documented; who calls; and that it is activated."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import TypeAdapter, ValidationError
from starlette.concurrency import run_in_threadpool

from thermokeeper.contract.faults import in_words
from thermokeeper.server import calling
from thermokeeper.server.http.context import Ctx
from thermokeeper.server.http.messagepack import MEDIA_TYPE, BadMessage, TooLarge, unpack
from thermokeeper.server.refusals import ApiError, blocked, conflict
from thermokeeper.server.rules import dms_provisioning
from thermokeeper.server.secrets import matches

_TAKEN = {MEDIA_TYPE, "application/x-msgpack", "application/vnd.msgpack", ""}

_bearer = HTTPBearer(scheme_name="dms", description="credential of the provisioning", auto_error=False)


def packed(kind: Any) -> Any:
    """A dependency: the body, unpacked and checked as `kind`. ApiError 400, 413 or 415."""
    adapter: TypeAdapter[Any] = TypeAdapter(kind)

    async def read(request: Request) -> Any:
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type not in _TAKEN:
            message = f"send MessagePack, with Content-Type: {MEDIA_TYPE}"
            raise ApiError(415, "unsupported_media_type", message)
        data = await request.body()
        try:
            return await run_in_threadpool(lambda: adapter.validate_python(unpack(data)))
        except TooLarge as error:
            raise ApiError(413, "too_large", f"body: {error}") from None
        except BadMessage as error:
            raise ApiError(400, "bad_request", f"body: {error}") from None
        except ValidationError as error:
            fault = error.errors(include_input=False)[0]
            where = ".".join(["body", *(str(part) for part in fault["loc"])])
            raise ApiError(400, "bad_request", f"{where}: {in_words(fault)}") from None

    return Depends(read)


def body_of(kind: Any) -> dict[str, Any]:
    """`kind` for the page at /docs. What it refers to must be among the JSON calls' types too."""
    schema = TypeAdapter(kind).json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    return {"requestBody": {"required": True, "content": {MEDIA_TYPE: {"schema": schema}}}}


@dataclass(frozen=True)
class Caller:
    """`thing_id` is None until the device is activated."""

    uuid: str
    thing_id: str | None


def caller(ctx: Ctx, shown: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]) -> Caller:
    """The device whose credential this is; its first call with it acknowledges it. 401; 403 once it is blocked."""
    if shown is None:
        raise dms_provisioning.unknown_credential()
    credential = shown.credentials
    with ctx.database.reading() as session:
        device = dms_provisioning.by_credential(session, credential)
        uuid = device.uuid
        if dms_provisioning.is_blocked(session, uuid):
            raise blocked()
        thing = device.serial.thing if device.serial is not None else None
        thing_id = thing.id if thing is not None else None
        own = device.credential_hash is not None and matches(credential, device.credential_hash)
    if not own:
        with ctx.database.writing() as session:
            dms_provisioning.acknowledge(session, credential)
    ctx.sightings.note(thing_id, uuid)
    calling.known(f"device {uuid}")
    return Caller(uuid, thing_id)


CallingDevice = Annotated[Caller, Depends(caller)]


def not_activated() -> ApiError:
    return conflict("not_activated", "the device is not activated to a product yet")


def activated(found: CallingDevice) -> str:
    """Id of the caller's thing. 409 if it has none."""
    if found.thing_id is None:
        raise not_activated()
    return found.thing_id


ActivatedThing = Annotated[str, Depends(activated)]
