"""The rules: which template and version a serial has, how things come to be, what rows look like as JSON."""

import json
from typing import Any

from sqlalchemy import Row, Select, bindparam, exists, func, select
from sqlalchemy.orm import Session, aliased, joinedload, selectinload
from sqlalchemy.sql.base import ExecutableOption

from thermokeeper.contract import schemas
from thermokeeper.server.rules.names import id_of
from thermokeeper.server.storage.models import Product, Serial, Template, Thing, Version


def whole_serials() -> list[ExecutableOption]:
    """What a list of serial numbers needs of other tables, fetched for all of a page at once."""
    return [
        joinedload(Serial.product).joinedload(Product.default_template).joinedload(Template.target),
        joinedload(Serial.own_template).joinedload(Template.target),
        joinedload(Serial.own_target),
        selectinload(Serial.thing),
    ]


def with_target() -> list[ExecutableOption]:
    """What it takes to tell a thing what to run, in one query."""
    serial = joinedload(Thing.serial)
    return [
        serial.joinedload(Serial.product).joinedload(Product.default_template).joinedload(Template.target),
        serial.joinedload(Serial.own_template).joinedload(Template.target),
        serial.joinedload(Serial.own_target),
    ]


def whole_things() -> list[ExecutableOption]:
    """The same for a list of things."""
    return [
        *with_target(),
        joinedload(Thing.owner),
        joinedload(Thing.current_version),
        selectinload(Thing.readings),
        selectinload(Thing.properties),
    ]


def template_of(serial: Serial) -> Template:
    """The serial's own template, or else its product's."""
    return serial.own_template or serial.product.default_template


def target_of(serial: Serial) -> Version | None:
    """What its device should run: the serial's own target, or else what its template has published."""
    return serial.own_target or template_of(serial).target


def _told_by_key() -> Select[Any]:
    """Whose key it is and what `target_of` says of it, in columns: at a start a whole fleet is asked for at once."""
    template, target = aliased(Template), aliased(Version)
    template_id = func.coalesce(Serial.template_id, Product.default_template_id)
    target_id = func.coalesce(Serial.target_version_id, template.target_version_id)
    return (
        select(Thing.id.label("thing_id"), Thing.key_hash, Serial.blocked)
        .add_columns(target.id, target.name, target.description, target.release_digest, target.release_version)
        .join(Serial, Serial.id == Thing.serial_id)
        .join(Product, Product.id == Serial.product_id)
        .join(template, template.id == template_id)
        .join(target, target.id == target_id, isouter=True)
        .where(Thing.key_hash.in_(bindparam("keys", expanding=True)))
    )


TOLD_BY_KEY = _told_by_key()


def summary_of_row(row: Row[Any]) -> schemas.VersionSummary | None:
    """The target in a row of `TOLD_BY_KEY`."""
    if row.id is None:
        return None
    return schemas.VersionSummary(
        id=row.id,
        name=row.name,
        description=row.description,
        release=row.release_digest,
        release_version=row.release_version,
    )


def status_of(serial: Serial, thing: Thing | None) -> schemas.SerialStatus:
    """thing: the serial's; to look for it costs a query."""
    if serial.retired:
        return "retired"
    if serial.blocked:
        return "blocked"
    return "active" if thing is not None and thing.activation_count else "new"


def available_to(thing: Thing) -> list[tuple[Version, bool]]:
    """The updates there are for what `thing` runs, and whether it may take each without asking its owner.

    First the version that its current one leads to, then its target; never the one that it runs.
    """
    current, target = thing.current_version, target_of(thing.serial)
    found: dict[str, tuple[Version, bool]] = {}
    step = current.update_to if current is not None else None
    if current is not None and step is not None and step.firmware_size is not None:
        found[step.id] = (step, current.update_automatic)
    if target is not None:
        already = found.get(target.id, (target, False))[1]
        found[target.id] = (target, already or target.update_by_thing)
    if current is not None:
        found.pop(current.id, None)
    return list(found.values())


def choices_of(thing: Thing) -> list[tuple[Version, bool]]:
    """The same for who chooses its target: also what its template has published, whatever its target is now."""
    found = available_to(thing)
    template = template_of(thing.serial)
    published = template.target
    known = {version.id for version, _ in found} | {thing.current_version_id}
    if published is not None and published.id not in known:
        found.append((published, published.update_by_thing))
    target = target_of(thing.serial)  # a prototype is for whom the vendor has chosen
    return [
        (version, automatic)
        for version, automatic in found
        if version.template_id == template.id and (not version.prototype or version is target)
    ]


def may_download(thing: Thing, version: Version) -> bool:
    """A device gets the versions of its template; a prototype only when it is meant for it."""
    if version.template_id != template_of(thing.serial).id:
        return False
    target = target_of(thing.serial)
    meant = {thing.current_version_id, target.id if target is not None else None}
    return not version.prototype or version.id in meant


def new_thing(session: Session, serial: Serial, name: str | None = None) -> Thing:
    """A thing for a serial that has none, with this name or a generated one. The serial's row must be locked."""
    thing = Thing(serial=serial, name=name or _generated_name(session, serial.product_id))
    session.add(thing)
    session.flush()
    return thing


def _generated_name(session: Session, product_id: str) -> str:
    product = session.scalars(select(Product).where(Product.id == product_id).with_for_update()).one()
    while True:
        product.things_named += 1
        name = f"{product.name} {product.things_named}"
        taken = exists().where(Thing.name == name, Thing.serial_id == Serial.id, Serial.product_id == product.id)
        if not session.scalar(select(taken)):
            return name


# -- rows as JSON ------------------------------------------------------------------------------------------------------


def summary(version: Version) -> schemas.VersionSummary:
    return schemas.VersionSummary(
        id=version.id,
        name=version.name,
        description=version.description,
        release=version.release_digest,
        release_version=version.release_version,
    )


def summary_or_none(version: Version | None) -> schemas.VersionSummary | None:
    return None if version is None else summary(version)


def properties(thing: Thing) -> list[schemas.Property]:
    return [
        schemas.Property(
            id=id_of("property", thing.id, row.name), name=row.name, value=json.loads(row.value), at=row.changed_at
        )
        for row in thing.properties
    ]


def readings(thing: Thing) -> list[schemas.LastReading]:
    return [
        schemas.LastReading(
            id=id_of("event", thing.id, row.event), event=row.event, value=row.value, at=row.at, count=row.count
        )
        for row in thing.readings
    ]
