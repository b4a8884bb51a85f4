"""Whose a thing is: given to an owner, taken off one; and which of its readings are the owner's to see.

An owner sees what was measured from his own time on. What nobody's thing measured before anybody had it belongs to its
first owner: a board may run before it is claimed.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from thermokeeper.contract import schemas
from thermokeeper.contract.times import now
from thermokeeper.server.refusals import ApiError
from thermokeeper.server.rules import audit, names
from thermokeeper.server.rules.dms_provisioning import device_row
from thermokeeper.server.rules.names import id_of
from thermokeeper.server.rules.rows import clean, existing, find_serial, find_thing, serial_row
from thermokeeper.server.storage.dms_models import DmsDevice
from thermokeeper.server.storage.models import Datapoint, Owner, Reading, ReadingHour, Thing

HANDOVER_LIFE = timedelta(hours=24)


def give(session: Session, thing: Thing, owner: Owner | None, who: str, what: str, name: str | None = None) -> None:
    """The thing is the owner's, or nobody's, from now on; its serial number must be locked.

    who, what: for the audit. name: that the owner gives it; ApiError 409 if another of his has it. What a former owner
    chose that it should run is the vendor's to say again. Nothing happens if it is his already.
    """
    former = thing.owner
    thing.handover_hash = thing.handover_expires_at = None
    if (owner.id if owner is not None else None) == thing.owner_id:
        return
    moment = now()
    session.execute(select(Thing.id).where(Thing.id == thing.id).with_for_update())  # no datapoint comes meanwhile
    if former is not None or thing.readings_after is not None:
        thing.readings_after = session.scalar(select(func.max(Datapoint.id)).where(Datapoint.thing_id == thing.id)) or 0
        theirs = update(Reading).where(Reading.thing_id == thing.id)
        session.execute(theirs.values(former=Reading.count), execution_options={"synchronize_session": False})
        # one from a clock that is ahead would otherwise pass for the next owner's
        ahead = theirs.where(Reading.at >= moment).values(at=moment - timedelta(milliseconds=1))
        session.execute(ahead, execution_options={"synchronize_session": False})
        hours = delete(ReadingHour).where(ReadingHour.thing_id == thing.id, ReadingHour.start >= moment)
        session.execute(hours, execution_options={"synchronize_session": False})
        session.expire(thing, ["readings"])
    names.own(session, thing, owner.id if owner is not None else None, name)
    if thing.serial.target_by_owner:
        thing.serial.own_target, thing.serial.target_by_owner = None, False
    session.flush()
    session.expire(thing, ["owner"])
    thing.owned_since = moment if owner is not None else None
    device = session.scalar(select(DmsDevice).where(DmsDevice.uuid == thing.serial.number).with_for_update())
    if device is not None:
        device.owner = owner
    moved = [f"from {former.name}"] if former is not None else []
    moved += [f"to {owner.name}"] if owner is not None else []
    audit.note(session, who, what, thing.serial.number, " ".join(moved))


def locked(session: Session, thing_id: str) -> Thing:
    """The thing as it is now, locked with its serial number and device. ApiError 404."""
    thing = find_thing(session, thing_id)
    device_row(session, thing.serial.number)
    serial_row(session, thing.serial.number)
    session.refresh(thing)
    return thing


def release_device(session: Session, uuid: str, of: str | None, who: str) -> DmsDevice:
    """Nobody's from now on is the device that provisions itself, and its thing if it has one. ApiError 403, 404.

    of: id of the owner that it has to be; None if it doesn't matter.
    """
    device = existing(device_row(session, clean(uuid) or ""), "device")
    serial = find_serial(session, device.uuid)
    if of is not None and device.owner_id != of:
        raise ApiError(403, "forbidden", "this device is not yours")
    if serial is not None and serial.thing is not None:
        give(session, serial.thing, None, who, "device.released")
    if device.owner is not None:
        audit.note(session, who, "device.released", device.uuid, f"from {device.owner.name}")
        device.owner = None
    return device


class Seen(NamedTuple):
    """Which of a thing's readings somebody sees: all, or what arrived with a number above `after` and was measured
    `since`. Also what a board kept and sends late has its time."""

    thing_id: str
    after: int = 0
    since: datetime | None = None


def seen_by_owner(thing: Thing) -> Seen:
    if thing.readings_after is None or thing.owned_since is None:
        return Seen(thing.id)
    return Seen(thing.id, thing.readings_after, thing.owned_since)


def readings_of_owner(thing: Thing) -> list[schemas.LastReading]:
    """The last readings, without those of a former owner's time."""
    since = thing.owned_since if thing.readings_after is not None else None
    return [
        schemas.LastReading(
            id=id_of("event", thing.id, row.event),
            event=row.event,
            value=row.value,
            at=row.at,
            count=row.count - row.former,
        )
        for row in thing.readings
        if since is None or (row.count > row.former and row.at >= since)
    ]
