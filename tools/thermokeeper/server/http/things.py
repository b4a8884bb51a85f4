"""A thing: what devices of either protocol do to it."""

import logging
from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import Path
from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from thermokeeper.contract import schemas
from thermokeeper.contract.fields import is_word
from thermokeeper.contract.times import now
from thermokeeper.server.http.context import Context
from thermokeeper.server.refusals import ApiError, conflict, too_many_points
from thermokeeper.server.rules import history, registry
from thermokeeper.server.rules.rows import thing_row
from thermokeeper.server.storage.models import Datapoint, PropertyValue, Reading, Thing, Version

log = logging.getLogger("thermokeeper.server")

Word = Annotated[str, Path(description="letters, digits, `_`, `-`, `.`; up to 64", examples=["temperature"])]


def check_word(word: str, what: str) -> None:
    if not is_word(word):
        raise ApiError(400, "bad_request", f"the name of the {what} is not allowed: letters, digits, _ - . up to 64")


def confirm_version(thing: Thing, version: Version) -> Version:
    """The locked thing runs this version. ApiError 409 if it isn't one of its template."""
    if thing.current_version_id != version.id:
        target = registry.target_of(thing.serial)
        if version.prototype and (target is None or target.id != version.id):  # else a device could choose it itself
            raise conflict("wrong_template", "this prototype is not for this thing")
        if version.template_id != registry.template_of(thing.serial).id:
            raise conflict("wrong_template", "this is not a version of the thing's template")
        thing.current_version = version
        thing.version_confirmed_at = now()
        log.info("thing %s confirms version %s (%s)", thing.id, version.name, version.id)
    return version


def store_property(ctx: Context, thing_id: str, name: str, text: str) -> None:
    """Set a property to a value that is JSON already."""
    with ctx.database.writing() as session:
        thing_row(session, thing_id)
        row = session.get(PropertyValue, (thing_id, name))
        if row is None:
            _check_names(session, PropertyValue, thing_id, ctx.settings.limits.properties_of_a_thing, "properties")
            row = PropertyValue(thing_id=thing_id, name=name)
            session.add(row)
        row.value, row.changed_at = text, now()


# -- readings ----------------------------------------------------------------------------------------------------------


def take_points(ctx: Context, thing_id: str, event: str, points: list[schemas.DatapointIn]) -> None:
    """ApiError 400 or 413; otherwise each point is there once, however often it came."""
    check_word(event, "event")
    limit = ctx.settings.limits.points_per_call
    if len(points) > limit:
        raise ApiError(413, "too_large", f"at most {limit} datapoints in one call")
    if wait_s := ctx.points.take(thing_id, cost=len(points)):
        raise too_many_points(wait_s)
    with ctx.database.writing() as session:
        thing = thing_row(session, thing_id)  # locks: the same points may arrive twice at once
        if points and session.get(Reading, (thing_id, event)) is None:
            _check_names(session, Reading, thing_id, ctx.settings.limits.events_of_a_thing, "events")
        _store_points(session, thing.id, event, points)


def _check_names(
    session: Session, kind: type[Reading] | type[PropertyValue], thing_id: str, limit: int, what: str
) -> None:
    """ApiError 413 if the thing has as many as one may: each takes its place in every list of things."""
    if (session.scalar(select(func.count()).where(kind.thing_id == thing_id)) or 0) >= limit:
        raise ApiError(413, "too_many_names", f"a thing has at most {limit} {what}")


def _store_points(session: Session, thing_id: str, event: str, points: Iterable[schemas.DatapointIn]) -> None:
    arrived = now()
    sent = [point.at for point in points if point.at is not None]
    same = select(Datapoint.sent_at, Datapoint.value).where(
        Datapoint.thing_id == thing_id, Datapoint.event == event, Datapoint.sent_at.in_(sent)
    )
    known = {(row.sent_at, row.value) for row in session.execute(same)} if sent else set()
    rows: list[dict[str, Any]] = []
    for point in points:
        if point.at is not None:
            if (point.at, point.value) in known:
                continue
            known.add((point.at, point.value))
        rows.append(
            {
                "thing_id": thing_id,
                "event": event,
                "value": point.value,
                "at": point.at or arrived,
                "sent_at": point.at,
                "arrived_at": arrived,
            }
        )
    if not rows:
        return
    session.execute(insert(Datapoint), rows)
    history.add(session, thing_id, event, ((row["at"], row["value"]) for row in rows), arrived)
    last = max(reversed(rows), key=lambda row: min(row["at"], arrived))
    reading = session.get(Reading, (thing_id, event))
    if reading is None:
        reading = Reading(thing_id=thing_id, event=event, value=last["value"], at=last["at"], count=0)
        session.add(reading)
    elif last["at"] >= min(reading.at, arrived):  # a date in the future is soon passed
        reading.value, reading.at = last["value"], last["at"]
    reading.count += len(rows)
