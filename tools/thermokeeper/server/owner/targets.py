"""Calls of owners: the updates that there are for one's thing, and which version it should run.

The original service had three policies. The platform sets the target: what the vendor publishes, for as long as nobody
chooses. The device does, among what is available to it. Or the owner does, here: his choice holds until he takes it
back, and what the vendor sets for this one device stands before it.
"""

from sqlalchemy.orm import Session

from thermokeeper.contract import schemas
from thermokeeper.server.http.context import CallingOwner, Ctx, limited
from thermokeeper.server.http.responses import TOO_MANY_TRIES, refusal
from thermokeeper.server.http.routers import BAD, owner_router
from thermokeeper.server.owner.own import OTHERS, own_thing, own_thing_locked, owned_thing
from thermokeeper.server.refusals import conflict
from thermokeeper.server.rules import audit, registry
from thermokeeper.server.storage.models import Owner, Serial, Thing, Version

router = owner_router()


@router.get(
    "/things/{thing_id}/available-versions.json",
    summary="List the versions that one may choose for a thing",
    response_model=list[schemas.AvailableVersion],
    response_model_exclude_none=True,
    responses=OTHERS,
)
def list_choices(ctx: Ctx, owner_id: CallingOwner, thing_id: str) -> list[schemas.AvailableVersion]:
    """What is available to the thing, and what its template has published; not what it runs."""
    with ctx.database.reading() as session:
        found = registry.choices_of(own_thing(session, thing_id, owner_id))
        return [schemas.AvailableVersion(**dict(registry.summary(version)), automatic=auto) for version, auto in found]


@router.put(
    "/things/{thing_id}/target-version.json",
    summary="Choose what one's thing should run",
    response_model=schemas.OwnedThing,
    responses={
        **BAD,
        **OTHERS,
        409: refusal("the version is not available to the thing, or the vendor has set the target of this device"),
        **TOO_MANY_TRIES,
    },
)
def choose_target(ctx: Ctx, owner_id: CallingOwner, thing_id: str, body: schemas.SwitchRequest) -> schemas.OwnedThing:
    """One of the available versions, or the one that it runs, to stay with that. May be repeated."""
    with limited(ctx, f"owner {owner_id}", "target", thing_id, owner_id), ctx.database.writing() as session:
        thing, serial = _locked(session, thing_id, owner_id)
        if serial.target_version_id != body.id:
            _set(session, owner_id, serial, _choice(thing, serial, body.id))
        return owned_thing(ctx, thing)


@router.delete(
    "/things/{thing_id}/target-version.json",
    summary="Leave it to the vendor again what one's thing should run",
    response_model=schemas.OwnedThing,
    responses={**OTHERS, 409: refusal("the vendor has set the target of this device"), **TOO_MANY_TRIES},
)
def leave_target(ctx: Ctx, owner_id: CallingOwner, thing_id: str) -> schemas.OwnedThing:
    """Then it is what the template has published. May be repeated."""
    with limited(ctx, f"owner {owner_id}", "target", thing_id, owner_id), ctx.database.writing() as session:
        thing, serial = _locked(session, thing_id, owner_id)
        if serial.target_version_id is not None:
            _set(session, owner_id, serial, None)
        return owned_thing(ctx, thing)


def _locked(session: Session, thing_id: str, owner_id: str) -> tuple[Thing, Serial]:
    """ApiError 409 if the vendor has set a target for this device."""
    thing = own_thing_locked(session, thing_id, owner_id)
    serial = thing.serial
    if serial.target_version_id is not None and not serial.target_by_owner:
        raise conflict("vendors_target", "the vendor has set what this device should run")
    return thing, serial


def _choice(thing: Thing, serial: Serial, version_id: str) -> Version:
    current = thing.current_version
    if current is not None and current.id == version_id and current.template_id == registry.template_of(serial).id:
        return current
    for version, _automatic in registry.choices_of(thing):
        if version.id == version_id:
            return version
    raise conflict("not_available", "this version is not available to this thing: see its available-versions.json")


def _set(session: Session, owner_id: str, serial: Serial, version: Version | None) -> None:
    owner = session.get(Owner, owner_id)
    assert owner is not None
    serial.own_target, serial.target_by_owner = version, version is not None
    session.flush()
    what = "target.left" if version is None else "target.chosen"
    audit.note(
        session, f"owner {owner.name}", what, serial.number, "" if version is None else f"version {version.name}"
    )
