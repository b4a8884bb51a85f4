"""What the calls in MessagePack share: the body, taken in and documented; who calls; and that it is activated."""

from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import TypeAdapter, ValidationError
from starlette.concurrency import run_in_threadpool

from thermokeeper.contract import dms_schemas
from thermokeeper.contract.faults import in_words
from thermokeeper.server import calling
from thermokeeper.server.http.context import Context, Ctx
from thermokeeper.server.http.messagepack import MEDIA_TYPE, BadMessage, TooLarge, unpack
from thermokeeper.server.refusals import ApiError, blocked, conflict
from thermokeeper.server.rules import dms_provisioning, registry
from thermokeeper.server.rules.known import KnownDms
from thermokeeper.server.secrets import hashed, matches
from thermokeeper.server.storage.models import Version

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


async def caller(ctx: Ctx, shown: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]) -> KnownDms:
    """The device whose credential this is; its first call with it acknowledges it. 401; 403 once it is blocked."""
    if shown is None:
        raise dms_provisioning.unknown_credential()
    known = ctx.known_dms.look(hashed(shown.credentials))
    if known is None:
        known = await run_in_threadpool(_find, ctx, shown.credentials)
    ctx.sightings.note(known.thing_id, known.uuid)
    calling.known(f"device {known.uuid}")
    return known


def _find(ctx: Context, credential: str) -> KnownDms:
    key_hash = hashed(credential)
    mark = ctx.known_dms.mark(key_hash)
    with ctx.database.reading() as session:
        device = dms_provisioning.by_credential(session, credential)
        if dms_provisioning.is_blocked(session, device.uuid):
            raise blocked()
        thing = device.serial.thing if device.serial is not None else None
        target = registry.target_of(thing.serial) if thing is not None else None
        own = device.credential_hash is not None and matches(credential, device.credential_hash)
        known = KnownDms(device.uuid, None if thing is None else thing.id, firmware_message(target))
    if own:
        ctx.known_dms.keep(key_hash, mark, known)
    else:
        with ctx.database.writing() as session:
            dms_provisioning.acknowledge(session, credential)
    return known


def firmware_message(version: Version | None) -> dict[str, Any] | None:
    """What a device is told of a version; None if it has no firmware."""
    if version is None or version.firmware_size is None:
        return None
    found = dms_schemas.DmsFirmware(
        id=version.id,
        name=version.name,
        description=version.description,
        release=version.release_digest,
        size=version.firmware_size,
    )
    return found.model_dump(mode="json", by_alias=True)


CallingDevice = Annotated[KnownDms, Depends(caller)]


def not_activated() -> ApiError:
    return conflict("not_activated", "the device is not activated to a product yet")


async def activated(found: CallingDevice) -> str:
    """Id of the caller's thing. 409 if it has none."""
    if found.thing_id is None:
        raise not_activated()
    return found.thing_id


ActivatedThing = Annotated[str, Depends(activated)]
