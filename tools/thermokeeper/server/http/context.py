"""What every call works with, and who is calling."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader
from sqlalchemy import select
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import Scope

from thermokeeper.server import calling
from thermokeeper.server.http.lookups import Lookups
from thermokeeper.server.metrics import Metrics
from thermokeeper.server.refusals import ApiError, blocked, role_needed, too_many_tries, unauthorized
from thermokeeper.server.rules import registry
from thermokeeper.server.rules.accounts import Member, member_by
from thermokeeper.server.rules.known import Known, KnownDevices, KnownDms
from thermokeeper.server.rules.proofs import Nonces
from thermokeeper.server.rules.ratelimit import Limiter, caller_of
from thermokeeper.server.rules.roles import needed_for
from thermokeeper.server.secrets import hashed, matches
from thermokeeper.server.settings import Settings
from thermokeeper.server.storage.database import Database
from thermokeeper.server.storage.firmware import FirmwareStore
from thermokeeper.server.storage.models import Owner, Thing
from thermokeeper.server.storage.sightings import Sightings


@dataclass(frozen=True)
class Context:
    settings: Settings
    database: Database
    firmware: FirmwareStore
    by_serial: Limiter
    by_client: Limiter
    points: Limiter
    sightings: Sightings
    known: KnownDevices[Known]
    known_dms: KnownDevices[KnownDms]
    lookups: "Lookups[FoundDevice]"
    metrics: Metrics
    nonces: Nonces


async def context(request: Request) -> Context:
    found = request.app.state.context
    assert isinstance(found, Context)
    return found


Ctx = Annotated[Context, Depends(context)]


async def client_address(request: Request) -> str:
    """Who calls, as the limits on tries count callers."""
    return caller_of(request.client.host) if request.client else ""


ClientAddress = Annotated[str, Depends(client_address)]

_device_header = APIKeyHeader(
    name="X-ApiKey", scheme_name="device", description="apiKey of the last activation", auto_error=False
)
_vendor_header = APIKeyHeader(
    name="X-VendorToken",
    scheme_name="vendor",
    description="token of an account; the first is made at the first start",
    auto_error=False,
)
_owner_header = APIKeyHeader(
    name="X-OwnerToken", scheme_name="owner", description="token of an owner account", auto_error=False
)


async def device(ctx: Ctx, key: Annotated[str | None, Security(_device_header)]) -> Known:
    """The device whose key this is. 401; 403 once its serial is blocked."""
    if key is None:
        raise unauthorized("X-ApiKey")
    key_hash = hashed(key)
    known = ctx.known.look(key_hash)
    if known is None:
        found = await ctx.lookups.find(key_hash)
        if found is None or not matches(key, found.key_hash):
            raise unauthorized("X-ApiKey")
        if found.known is None:
            raise blocked()
        known = found.known
    ctx.sightings.note(known.thing_id)
    calling.known(f"thing {known.thing_id}")
    return known


@dataclass(frozen=True, slots=True)
class FoundDevice:
    """`known` is None if its serial number is blocked."""

    key_hash: str
    known: Known | None


def find_devices(database: Database, known: KnownDevices[Known], key_hashes: list[str]) -> dict[str, FoundDevice]:
    """Those whose keys have these hashes, also kept as known from now on."""
    marks = {key_hash: known.mark(key_hash) for key_hash in key_hashes}  # before they are read
    with database.reading() as session:
        rows = session.connection().execute(registry.TOLD_BY_KEY, {"keys": key_hashes}).all()
    found = {}
    for row in rows:
        target = registry.summary_of_row(row)
        device = Known(row.thing_id, None if target is None else target.model_dump_json(exclude_none=True).encode())
        if not row.blocked:
            known.keep(row.key_hash, marks[row.key_hash], device)
        found[row.key_hash] = FoundDevice(row.key_hash, None if row.blocked else device)
    return found


CallingDevice = Annotated[Known, Depends(device)]


async def thing_of(known: CallingDevice) -> str:
    return known.thing_id


CallingThing = Annotated[str, Depends(thing_of)]


async def own_device(ctx: Ctx, thing_id: str, caller: CallingDevice) -> Known:
    """The thing in the path has to be the caller's: 404 if there is none, 403 if it is another's."""
    if thing_id != caller.thing_id:
        await run_in_threadpool(_refuse_other, ctx, thing_id)
    return caller


def _refuse_other(ctx: Context, thing_id: str) -> None:
    with ctx.database.reading() as session:
        if not thing_id.isalnum() or session.get(Thing, thing_id) is None:
            raise ApiError(404, "no_such_thing", "there is no such thing")
    raise ApiError(403, "wrong_thing", "this key is for another thing")


OwnDevice = Annotated[Known, Depends(own_device)]


async def own_thing(known: OwnDevice) -> str:
    return known.thing_id


OwnThing = Annotated[str, Depends(own_thing)]


def vendor(ctx: Ctx, request: Request, token: Annotated[str | None, Security(_vendor_header)]) -> Member:
    """The account whose token this is. 401; 403 if its role isn't enough for this call."""
    member = _member(ctx, token)
    ctx.sightings.note_token(member.token_id)
    calling.known(member.who, member.token_name)
    needed = needed_for(request.scope["endpoint"].__name__)
    if member.role < needed:
        raise role_needed(needed.word, member.name, member.role.word)
    return member


def _member(ctx: Context, token: str | None) -> Member:
    with ctx.database.reading() as session:
        member = member_by(session, token) if token else None
    if member is None:
        raise unauthorized("X-VendorToken")
    return member


CallingMember = Annotated[Member, Depends(vendor)]


async def stranger(ctx: Context, scope: Scope) -> ApiError | None:
    """What to say to whoever sends a large body, as only a vendor does; None if it is one."""
    token = Headers(scope=scope).get("x-vendortoken")
    try:
        await run_in_threadpool(_member, ctx, token)
    except ApiError as refusal:
        return refusal
    return None


def owner(ctx: Ctx, token: Annotated[str | None, Security(_owner_header)]) -> str:
    """Id of the owner whose token this is."""
    with ctx.database.reading() as session:
        found = session.scalar(select(Owner).where(Owner.token_hash == hashed(token))) if token else None
        if token is None or found is None or not matches(token, found.token_hash):
            raise unauthorized("X-OwnerToken")
        calling.known(f"owner {found.name}")
        return found.id


CallingOwner = Annotated[str, Depends(owner)]


@contextmanager
def limited(ctx: Context, caller: str, *what: str) -> Iterator[None]:
    """A caller's try at something: 429 when there were too many; it counts less when it ends without an error.

    what: a word for the kind of try, then what it is at, then the caller if each has tries of his own. Without it only
    the caller's tries are counted.
    """
    names: list[tuple[Limiter, tuple[str, ...]]] = [(ctx.by_client, (caller,))]
    if what:
        names.append((ctx.by_serial, what))
    for limiter, name in names:
        if wait_s := limiter.take(*name):
            raise too_many_tries(wait_s)
    yield
    for limiter, name in names:
        limiter.succeeded(*name)
