"""What devices report of updates: a version that was rolled back or left, one that they refused, safe mode.

A device repeats a report until it has an answer, and a report has no number. So the same words of the same version
within half an hour are the same report; a board tries a version again after an hour at the earliest. What is counted is
what was told: of refusals a board tells the third.
"""

import re
from datetime import timedelta

from sqlalchemy.orm import Session

from thermokeeper.contract import schemas
from thermokeeper.contract.fields import is_id
from thermokeeper.contract.times import now
from thermokeeper.server.rules import registry
from thermokeeper.server.rules.rows import clean
from thermokeeper.server.storage.models import Thing, UpdateFailure

PROPERTY = "updateFailure"  # which boards set, and that stays what it was
_SAME_REPORT = timedelta(minutes=30)
_WHY_LIMIT = 300  # characters
_VERSION_LIMIT = 64
_FORM = re.compile(r"(.*?) \(([0-9a-f]{32}|unknown)\): (.*)", re.DOTALL)


def told_as_property(session: Session, thing: Thing, value: object, limit: int) -> None:
    """A device has set the property: `2.0.0 (version id): why`. Any other text is a reason, too."""
    if not isinstance(value, str) or not value:
        return
    found = _FORM.fullmatch(value)
    version, version_id, why = found.groups() if found else ("", "", value)
    told(session, thing, version_id, version, why, limit)


def told(session: Session, thing: Thing, version_id: str, version: str, why: str, limit: int) -> None:
    """Note it; the thing's row is locked. limit: of such versions that are kept of a thing, the last ones."""
    at = now()
    template_id = registry.template_of(thing.serial).id
    known_id = version_id if is_id(version_id) else None
    version, why = _storable(version)[:_VERSION_LIMIT], _storable(why)[:_WHY_LIMIT]
    row = next((row for row in thing.failures if _is_of(row, known_id, version)), None)
    if row is None:
        row = UpdateFailure(version_id=known_id, first_at=at, count=1)
    elif row.why != why or at - row.last_at > _SAME_REPORT:
        row.count += 1
    row.template_id, row.version, row.why, row.last_at = template_id, version, why, at
    if row not in thing.failures:
        thing.failures.append(row)
    session.flush()
    for old in sorted(thing.failures, key=lambda one: (one.last_at, one.id), reverse=True)[limit:]:
        session.delete(old)
        thing.failures.remove(old)


def failure_json(row: UpdateFailure) -> schemas.UpdateFailure:
    return schemas.UpdateFailure(
        version_id=row.version_id,
        version=row.version,
        why=row.why,
        first=row.first_at,
        last=row.last_at,
        count=row.count,
    )


def _is_of(row: UpdateFailure, version_id: str | None, version: str) -> bool:
    return row.version_id == version_id and (version_id is not None or row.version == version)


def _storable(text: str) -> str:
    """What a board says may hold anything; a database takes neither NUL nor half of a surrogate pair."""
    return (clean(text) or "").encode(errors="replace").decode()
