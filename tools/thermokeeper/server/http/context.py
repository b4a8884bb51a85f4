"""What every call works with, and who is calling."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader
from sqlalchemy import select

from thermokeeper.server import calling
from thermokeeper.server.metrics import Metrics
from thermokeeper.server.refusals import ApiError, blocked, role_needed, too_many_tries, unauthorized
from thermokeeper.server.rules.accounts import Member, member_by
from thermokeeper.server.rules.proofs import Nonces
from thermokeeper.server.rules.ratelimit import RateLimiter, caller_of
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
    by_serial: RateLimiter
    by_client: RateLimiter
    sightings: Sightings
    points: RateLimiter
    metrics: Metrics
    nonces: Nonces = field(default_factory=Nonces)


def context(request: Request) -> Context:
    found = request.app.state.context
    assert isinstance(found, Context)
    return found


Ctx = Annotated[Context, Depends(context)]


def client_address(request: Request) -> str:
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


def device(ctx: Ctx, key: Annotated[str | None, Security(_device_header)]) -> str:
    """Id of the thing whose key this is. 401; 403 once its serial is blocked."""
    with ctx.database.reading() as session:
        thing = session.scalar(select(Thing).where(Thing.key_hash == hashed(key))) if key else None
        if key is None or thing is None or thing.key_hash is None or not matches(key, thing.key_hash):
            raise unauthorized("X-ApiKey")
        if thing.serial.blocked:
            raise blocked()
        thing_id = thing.id
    ctx.sightings.note(thing_id)
    calling.known(f"thing {thing_id}")
    return thing_id


CallingThing = Annotated[str, Depends(device)]


def own_thing(ctx: Ctx, thing_id: str, caller: CallingThing) -> str:
    """The thing in the path, which has to be the caller's: 404 if there is none, 403 if it is another's."""
    if thing_id != caller:
        with ctx.database.reading() as session:
            if not thing_id.isalnum() or session.get(Thing, thing_id) is None:
                raise ApiError(404, "no_such_thing", "there is no such thing")
        raise ApiError(403, "wrong_thing", "this key is for another thing")
    return thing_id


OwnThing = Annotated[str, Depends(own_thing)]


def vendor(ctx: Ctx, request: Request, token: Annotated[str | None, Security(_vendor_header)]) -> Member:
    """The account whose token this is. 401; 403 if its role isn't enough for this call."""
    with ctx.database.reading() as session:
        member = member_by(session, token) if token else None
    if member is None:
        raise unauthorized("X-VendorToken")
    ctx.sightings.note_token(member.token_id)
    calling.known(member.who, member.token_name)
    needed = needed_for(request.scope["endpoint"].__name__)
    if member.role < needed:
        raise role_needed(needed.word, member.name, member.role.word)
    return member


CallingMember = Annotated[Member, Depends(vendor)]


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
    names: list[tuple[RateLimiter, tuple[str, ...]]] = [(ctx.by_client, (caller,))]
    if what:
        names.append((ctx.by_serial, what))
    for limiter, name in names:
        if wait_s := limiter.take(*name):
            raise too_many_tries(wait_s)
    yield
    for limiter, name in names:
        limiter.succeeded(*name)
