"""What the vendor's calls share: their token, their documented refusals, and finding what a path names."""

from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Path, Query
from sqlalchemy import select
from sqlalchemy.orm import Session

from thermokeeper.server import schemas
from thermokeeper.server.context import serial_row, vendor
from thermokeeper.server.errors import conflict, not_found
from thermokeeper.server.models import Product, Serial, Template, Thing, Version
from thermokeeper.server.schemas import ErrorBody, document

Row = TypeVar("Row")

BAD: schemas.Responses = {400: document(ErrorBody, "malformed request")}
MISSING: schemas.Responses = {404: document(ErrorBody, "no such template, version, product, serial number or thing")}
CLASH: schemas.Responses = {409: document(ErrorBody, "there is one already, or it is in use")}

Limit = Annotated[int, Query(ge=1, le=1000, description="items on a page")]
After = Annotated[str | None, Query(max_length=64, description="`next` of the page before")]
SerialInPath = Annotated[str, Path(alias="number", examples=["THERM00000000000001"])]


def vendor_router() -> APIRouter:
    """A router whose calls need the vendor's token."""
    return APIRouter(
        prefix="/v1/vendor",
        tags=["vendors"],
        dependencies=[Depends(vendor)],
        responses={401: document(ErrorBody, "vendor token missing or wrong")},
    )


def clean(text: str | None) -> str | None:
    """What came from a path or query, for the database: PostgreSQL takes no NUL."""
    return None if text is None else text.replace("\0", "\ufffd")


def find_template(session: Session, template_id: str) -> Template:
    return _found(session.get(Template, clean(template_id)), "template")


def find_version(session: Session, version_id: str) -> Version:
    return _found(session.get(Version, clean(version_id)), "version")


def find_version_of(session: Session, version_id: str, template: Template) -> Version:
    version = find_version(session, version_id)
    if version.template_id != template.id:
        raise conflict("wrong_template", f"version {version.name} is not one of the template {template.name}")
    return version


def check_has_firmware(version: Version) -> None:
    if version.firmware_size is None:
        raise conflict("no_firmware", "the version has no firmware yet: upload it first")


def find_product(session: Session, code: str) -> Product:
    return _found(session.scalar(select(Product).where(Product.code == clean(code))), "product")


def find_serial(session: Session, number: str) -> Serial:
    return serial_row(session, clean(number) or "")


def find_thing(session: Session, thing_id: str) -> Thing:
    return _found(session.get(Thing, clean(thing_id)), "thing")


def _found(row: Row | None, what: str) -> Row:
    if row is None:
        raise not_found(what)
    return row
