"""The rows that a call names: found, or the call is refused."""

from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from thermokeeper.server.refusals import conflict, not_found
from thermokeeper.server.storage.models import Owner, Product, Serial, Template, Thing, Version

Row = TypeVar("Row")


def clean(text: str | None) -> str | None:
    """What came from a path or query, for the database: PostgreSQL takes no NUL."""
    return None if text is None else text.replace("\0", "\ufffd")


def existing(row: Row | None, what: str) -> Row:
    """The row. ApiError 404 if there is none."""
    if row is None:
        raise not_found(what)
    return row


def find_template(session: Session, template_id: str) -> Template:
    return existing(session.get(Template, clean(template_id)), "template")


def find_version(session: Session, version_id: str) -> Version:
    return existing(session.get(Version, clean(version_id)), "version")


def find_version_of(session: Session, version_id: str, template: Template) -> Version:
    version = find_version(session, version_id)
    if version.template_id != template.id:
        raise conflict("wrong_template", f"version {version.name} is not one of the template {template.name}")
    return version


def check_has_firmware(version: Version) -> None:
    if version.firmware_size is None:
        raise conflict("no_firmware", "the version has no firmware yet: upload it first")


def find_product(session: Session, code: str) -> Product:
    return existing(session.scalar(select(Product).where(Product.code == clean(code))), "product")


def open_product(session: Session, code: str) -> Product:
    """One that still takes serial numbers, and can't be retired meanwhile. ApiError 404, 409."""
    wanted = select(Product).where(Product.code == clean(code)).with_for_update(read=True)
    product = existing(session.scalar(wanted), "product")
    if product.retired:
        raise conflict("retired", "this product is retired: it takes no more devices")
    return product


def find_owner(session: Session, owner_id: str) -> Owner:
    return existing(session.get(Owner, clean(owner_id)), "owner")


def find_thing(session: Session, thing_id: str) -> Thing:
    return existing(session.get(Thing, clean(thing_id)), "thing")


# -- locked for what follows (where the database locks rows) -----------------------------------------------------------


def thing_row(session: Session, thing_id: str) -> Thing:
    return existing(session.scalar(select(Thing).where(Thing.id == thing_id).with_for_update()), "thing")


def version_row(session: Session, version_id: str) -> Version:
    return existing(session.scalar(select(Version).where(Version.id == clean(version_id)).with_for_update()), "version")


def find_serial(session: Session, number: str) -> Serial | None:
    return session.scalar(select(Serial).where(Serial.number == clean(number)).with_for_update())


def serial_row(session: Session, number: str) -> Serial:
    return existing(find_serial(session, number), "serial number")
