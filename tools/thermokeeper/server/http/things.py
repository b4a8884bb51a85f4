"""A thing: what devices of either protocol do to it."""

import json
import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Annotated, Any

from fastapi import Path
from sqlalchemy import Connection, bindparam, func, insert, select, update
from sqlalchemy.orm import Session

from thermokeeper.contract import schemas
from thermokeeper.contract.fields import is_word
from thermokeeper.contract.times import now
from thermokeeper.server.http.context import Context
from thermokeeper.server.refusals import ApiError, conflict, not_found, too_many_points
from thermokeeper.server.rules import failures, history, registry
from thermokeeper.server.rules.rows import thing_row
from thermokeeper.server.storage.models import Datapoint, PropertyValue, Reading, Thing, Version

log = logging.getLogger("thermokeeper.server")

_FAILURE_LIMIT = 300  # characters

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
    """Set a property to a value that is JSON already. A failure that is told so is noted as one, too."""
    with ctx.database.writing() as session:
        thing = thing_row(session, thing_id)
        if name == failures.PROPERTY:
            failures.told_as_property(session, thing, json.loads(text), ctx.settings.limits.failures_of_a_thing)
        _set_property(ctx, session, thing_id, name, text)


def store_failure(ctx: Context, thing_id: str, version_id: str, version: str, why: str) -> None:
    """The device has told that a version failed: noted, and readable as the property that other devices set."""
    with ctx.database.writing() as session:
        thing = thing_row(session, thing_id)
        failures.told(session, thing, version_id, version, why, ctx.settings.limits.failures_of_a_thing)
        text = f"{version} ({version_id}): {why}"[:_FAILURE_LIMIT]
        _set_property(ctx, session, thing_id, failures.PROPERTY, json.dumps(text))


def _set_property(ctx: Context, session: Session, thing_id: str, name: str, text: str) -> None:
    row = session.get(PropertyValue, (thing_id, name))
    if row is None:
        if name != failures.PROPERTY:  # which no thing should lack for having many others
            _check_names(session, PropertyValue, thing_id, ctx.settings.limits.properties_of_a_thing, "properties")
        row = PropertyValue(thing_id=thing_id, name=name)
        session.add(row)
    row.value, row.changed_at = text, now()


# -- readings ----------------------------------------------------------------------------------------------------------


def take_points(ctx: Context, thing_id: str, event: str, points: list[schemas.DatapointIn]) -> None:
    """ApiError 400 or 413; otherwise each point is there once, however often it came."""
    ctx.database.write(_storing(ctx, thing_id, event, points))


async def take_points_async(ctx: Context, thing_id: str, event: str, points: list[schemas.DatapointIn]) -> None:
    """The same for a caller in the event loop."""
    await ctx.database.write_async(_storing(ctx, thing_id, event, points))


# What a server does for most of its time: without the rows' objects, and each statement is made once.
_THING = select(Thing.id).where(Thing.id == bindparam("thing")).with_for_update()
_LAST = select(Reading.at).where(Reading.thing_id == bindparam("thing"), Reading.event == bindparam("event"))
_SAME = select(Datapoint.sent_at, Datapoint.value).where(
    Datapoint.thing_id == bindparam("thing"),
    Datapoint.event == bindparam("event"),
    Datapoint.sent_at.in_(bindparam("sent", expanding=True)),
)
_POINTS = insert(Datapoint)
_READING = insert(Reading)
_OF_READING = update(Reading).where(Reading.thing_id == bindparam("thing"), Reading.event == bindparam("name"))
_COUNTED = _OF_READING.values(count=Reading.count + bindparam("more"))
_PASSED = _OF_READING.values(count=Reading.count + bindparam("more"), value=bindparam("last"), at=bindparam("moment"))


def _storing(ctx: Context, thing_id: str, event: str, points: list[schemas.DatapointIn]) -> Callable[[Session], None]:
    check_word(event, "event")
    limit = ctx.settings.limits.points_per_call
    if len(points) > limit:
        raise ApiError(413, "too_large", f"at most {limit} datapoints in one call")

    def store(session: Session) -> None:
        if wait_s := ctx.points.take(thing_id, cost=len(points), session=session):
            raise too_many_points(wait_s)
        connection = session.connection()
        # locks: the same points may arrive twice at once
        if connection.scalar(_THING, {"thing": thing_id}) is None:
            raise not_found("thing")
        last = connection.execute(_LAST, {"thing": thing_id, "event": event}).one_or_none()
        if points and last is None:
            _check_names(session, Reading, thing_id, ctx.settings.limits.events_of_a_thing, "events")
        _store_points(connection, thing_id, event, points, None if last is None else last.at)

    return store


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
    same = {"thing": thing_id, "event": event, "sent": sent}
    known = {(row.sent_at, row.value) for row in connection.execute(_SAME, same)} if sent else set()
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
    connection.execute(_POINTS, rows)
    history.add(connection, thing_id, event, ((row["at"], row["value"]) for row in rows), arrived)
    latest = max(reversed(rows), key=lambda row: min(row["at"], arrived))
    if last_at is None:
        value = {"value": latest["value"], "at": latest["at"]}
        connection.execute(_READING, {"thing_id": thing_id, "event": event, "count": len(rows), **value})
        return
    counted = {"thing": thing_id, "name": event, "more": len(rows)}
    if latest["at"] < min(last_at, arrived):  # a date in the future is soon passed
        connection.execute(_COUNTED, counted)
    else:
        connection.execute(_PASSED, {**counted, "last": latest["value"], "moment": latest["at"]})
