"""A thing: what devices of either protocol do to it, and the readings of it that vendor and owner list."""

import logging
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any

from fastapi import Path
from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.orm import Session

from thermokeeper.contract import schemas
from thermokeeper.contract.fields import is_word
from thermokeeper.contract.schemas import Page
from thermokeeper.contract.times import now
from thermokeeper.server.http.context import Context
from thermokeeper.server.http.pages import page_of, row_number
from thermokeeper.server.refusals import ApiError, conflict, not_found, too_many_points
from thermokeeper.server.rules import ownership, registry
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
        # Without the rows' objects: this is what a server does for most of its time.
        connection = session.connection()
        # locks: the same points may arrive twice at once
        if connection.scalar(select(Thing.id).where(Thing.id == thing_id).with_for_update()) is None:
            raise not_found("thing")
        last = connection.execute(
            select(Reading.at).where(Reading.thing_id == thing_id, Reading.event == event)
        ).one_or_none()
        if points and last is None:
            _check_names(session, Reading, thing_id, ctx.settings.limits.events_of_a_thing, "events")
        _store_points(connection, thing_id, event, points, None if last is None else last.at)


def _check_names(
    session: Session, kind: type[Reading] | type[PropertyValue], thing_id: str, limit: int, what: str
) -> None:
    """ApiError 413 if the thing has as many as one may: each takes its place in every list of things."""
    if (session.scalar(select(func.count()).where(kind.thing_id == thing_id)) or 0) >= limit:
        raise ApiError(413, "too_many_names", f"a thing has at most {limit} {what}")


def _store_points(
    connection: Connection, thing_id: str, event: str, points: Iterable[schemas.DatapointIn], last_at: datetime | None
) -> None:
    """last_at: of the last reading there is."""
    arrived = now()
    sent = [point.at for point in points if point.at is not None]
    same = select(Datapoint.sent_at, Datapoint.value).where(
        Datapoint.thing_id == thing_id, Datapoint.event == event, Datapoint.sent_at.in_(sent)
    )
    known = {(row.sent_at, row.value) for row in connection.execute(same)} if sent else set()
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
    connection.execute(insert(Datapoint), rows)
    latest = max(reversed(rows), key=lambda row: min(row["at"], arrived))
    value = {"value": latest["value"], "at": latest["at"]}
    if last_at is None:
        reading = {"thing_id": thing_id, "event": event, "count": len(rows), **value}
        connection.execute(insert(Reading), reading)
        return
    if latest["at"] < min(last_at, arrived):  # a date in the future is soon passed
        value = {}
    counted = update(Reading).where(Reading.thing_id == thing_id, Reading.event == event)
    connection.execute(counted.values(count=Reading.count + len(rows), **value))


def datapoints_page(
    session: Session, thing: Thing, event: str | None, after: str | None, limit: int, of_owner: bool = False
) -> Page[schemas.Datapoint]:
    """Last arrived first. of_owner: only those that are its owner's to see."""
    rows = select(Datapoint).where(Datapoint.thing_id == thing.id).order_by(Datapoint.id.desc())
    if of_owner:
        rows = ownership.seen_by_owner(rows, thing)
    if event is not None:
        rows = rows.where(Datapoint.event == event)
    if after is not None:
        rows = rows.where(Datapoint.id < row_number(after))
    found, following = page_of(session, rows, limit, lambda row: str(row.id))
    items = [schemas.Datapoint(event=row.event, value=row.value, at=row.at, arrived=row.arrived_at) for row in found]
    return Page(items=items, next=following)
