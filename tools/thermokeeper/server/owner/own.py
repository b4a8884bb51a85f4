"""What is an owner's own, and how it is shown to him."""

from sqlalchemy.orm import Session

from thermokeeper.contract import schemas
from thermokeeper.server.http.context import Context
from thermokeeper.server.http.responses import Responses, refusal
from thermokeeper.server.refusals import ApiError
from thermokeeper.server.rules import ownership, registry
from thermokeeper.server.rules.rows import find_thing
from thermokeeper.server.storage.models import Thing

OTHERS: Responses = {
    403: refusal("the thing is another owner's, or nobody's"),
    404: refusal("no such thing"),
}


def own_thing(session: Session, thing_id: str, owner_id: str) -> Thing:
    """ApiError 404, 403."""
    return _checked(find_thing(session, thing_id), owner_id)


def own_thing_locked(session: Session, thing_id: str, owner_id: str) -> Thing:
    """The same, as it is now, with its serial number and device: nobody else gets it meanwhile."""
    return _checked(ownership.locked(session, thing_id), owner_id)


def _checked(thing: Thing, owner_id: str) -> Thing:
    if thing.owner_id != owner_id:
        raise ApiError(403, "forbidden", "this thing is not yours")
    return thing


def owned_thing(ctx: Context, thing: Thing) -> schemas.OwnedThing:
    return schemas.OwnedThing(
        id=thing.id,
        name=thing.name,
        serial_number=thing.serial.number,
        product=thing.serial.product.code,
        current_version=registry.summary_or_none(thing.current_version),
        target_version=registry.summary_or_none(registry.target_of(thing.serial)),
        target_by_owner=thing.serial.target_by_owner,
        last_seen=ctx.sightings.of_thing(thing),
        owned_since=thing.owned_since,
        readings=ownership.readings_of_owner(thing),
    )
