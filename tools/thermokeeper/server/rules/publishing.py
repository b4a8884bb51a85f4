"""Whether boards may be given a version: what they would refuse, they aren't sent to fetch.

Whoever publishes a version, makes it the target of a serial number or lets another one lead to it, comes by here.
What can't be right - a wrong signature, another product, a file that is damaged, expired or too large - is refused in
any case; what is only unusual is refused until somebody says that it is meant. Judged is by the code that boards have
(keeper.release), on what is known of the releases; it opens no file.
"""

import functools
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import exists, or_, select
from sqlalchemy.orm import Session

from keeper import release
from keeper.errors import ReleaseError
from thermokeeper.contract.times import now
from thermokeeper.release.examining import Release, refusal_by
from thermokeeper.server.refusals import conflict
from thermokeeper.server.rules import audit, releases
from thermokeeper.server.storage.models import Product, Serial, Template, Thing, Version

_SOON = timedelta(days=7)  # an expiry that many boards would miss: those that are off, and those that come after


def publish(session: Session, version: Version, force: bool) -> None:
    """Make it what the devices of its template should run. ApiError 409 says why not."""
    template = version.template
    if template.target_version_id == version.id:
        return  # repeated: its answer was lost, perhaps
    products = products_of(session, template)
    _give(session, version, products, releases.earlier(session, version), template.target, force)
    if version.update_to is not None and version.update_to.firmware_size is not None:
        give(session, version.update_to, products, version, force)
    template.target = version
    version.published_at = version.published_at or now()
    session.flush()


def give(session: Session, version: Version, products: Sequence[Product], runs: Version | None, force: bool) -> None:
    """Let some devices of these products have it. runs: what they run, or None if that isn't known."""
    earlier = [runs] if runs is not None else releases.earlier(session, version)
    _give(session, version, products, [one for one in earlier if one.id != version.id], None, force)


def give_to(session: Session, serial: Serial, version: Version, thing: Thing | None, force: bool) -> None:
    """Let the device with this serial number have it. thing: the serial's."""
    give(session, version, [serial.product], thing.current_version if thing is not None else None, force)


def products_of(session: Session, template: Template) -> list[Product]:
    """Those whose devices run what this template has: by default, or some of them by a template of their own."""
    own = exists().where(Serial.template_id == template.id, Serial.product_id == Product.id)
    rows = select(Product).where(or_(Product.default_template_id == template.id, own)).order_by(Product.code)
    return list(session.scalars(rows))


def _give(
    session: Session,
    version: Version,
    products: Sequence[Product],
    earlier: Sequence[Version],
    published: Version | None,
    force: bool,
) -> None:
    known = releases.known(session, [version.id, *(one.id for one in earlier)])
    wanted = known.get(version.id)
    unusual = []
    if wanted is None and version.release_digest is not None:
        raise conflict("not_read", "the release has not been read to its end yet; try again")
    if wanted is None:
        unusual.append(_foreign(products))
    else:
        _check(wanted, products)
        unusual += _unusual(wanted, products)
        unusual += _refusing(session, version, wanted, earlier, known)
    if published is not None:
        unusual += _not_newer(version, published)
    if unusual and not force:
        raise conflict("unusual", f"{'; '.join(unusual)}. If that is meant, say so with force")
    if unusual:
        audit.note(session, audit.VENDOR, "version.forced", version.id, "; ".join(unusual))
    releases.keep_downloads(session, version)


def _foreign(products: Iterable[Product]) -> str:
    """What is unusual about a file that is no release of ours. ApiError where boards take only signed ones."""
    for product in products:
        if product.keys:
            message = f"the firmware is no release file; boards of the product {product.code} take signed ones only"
            raise conflict("not_a_release", message)
    return "the firmware is no release file: nothing of it can be checked"


def _check(wanted: Release, products: Iterable[Product]) -> None:
    """ApiError if the boards of one of the products would refuse it, whatever they run."""
    manifest = wanted.manifest
    if not release.is_signed(wanted.header):
        raise conflict("wrong_key", "the release isn't signed: no board takes it")
    for product in products:
        if manifest.product != product.code:
            message = f"the release is for another product: {manifest.product}, not {product.code}"
            raise conflict("wrong_product", message)
        if product.keys:
            _try("wrong_key", product, release.verify, wanted.header, _moduli(product))
        if product.flash_size is not None:
            slot_size = _slot_sizes()[product.flash_size]
            rule = f"the flash map for {product.flash_size}"
            _try("no_slot", rule, release.check, manifest, product.code, manifest.chip, slot_size)
    if manifest.expires and manifest.expires < _text(now()):
        raise conflict("expired", f"the release has expired ({manifest.expires})")


def _try(code: str, of: Product | str, rule: Callable[..., object], *arguments: object) -> None:
    try:
        rule(*arguments)
    except ReleaseError as error:
        if isinstance(of, Product):
            names = ", ".join(key.key_id for key in of.keys)
            raise conflict(code, f"{error}; the keys of the product {of.code} are {names}") from None
        raise conflict(code, f"{error}; that is {of}") from None


def _moduli(product: Product) -> dict[str, bytes]:
    return {key.key_id: bytes.fromhex(key.modulus) for key in product.keys}


@functools.cache
def _slot_sizes() -> dict[str, int]:
    """By flash size."""
    from thermokeeper.formats.partitions import available_tables  # with esptool: a server starts without it

    return {name: table.slot_size for name, table in available_tables().items()}


def _unusual(wanted: Release, products: Sequence[Product]) -> list[str]:
    found = []
    manifest = wanted.manifest
    for product in products:
        if not product.keys:
            found.append(
                f"the product {product.code} has no key, so the signature can't be checked: add its public key"
            )
    if not products:
        found.append("no product has this template, so the signature can't be checked: make the product first")
    largest = max(_slot_sizes().values())
    if manifest.slot_size > largest:
        found.append(f"the release needs a slot of {manifest.slot_size} bytes, the largest flash map has {largest}")
    if manifest.expires and manifest.expires < _text(now() + _SOON):
        found.append(f"the release expires soon ({manifest.expires})")
    if wanted.trust is None or not wanted.trust.keys:
        found.append("the release brings no keys: no board could be updated after it, so each one goes back")
    return found


def _refusing(
    session: Session, version: Version, wanted: Release, earlier: Sequence[Version], known: dict[str, Release]
) -> list[str]:
    """Which boards would refuse it for what they run: those that are known to be in the field, or all of them."""
    revoked = {name for one in earlier if one.id in known for name in _revoked(known[one.id])}
    refusals = {one.id: refusal_by(known[one.id], wanted, revoked) for one in earlier if one.id in known}
    refusing = [one for one in earlier if refusals.get(one.id)]
    if not refusing:
        return []
    if len(refusing) < len(refusals):
        field = releases.run_by_things(session, refusing) | {version.template.target_version_id}
        refusing = [one for one in refusing if one.id in field]
    return [f"boards that run version {one.name} refuse it: {refusals[one.id]}" for one in refusing]


def _revoked(found: Release) -> tuple[str, ...]:
    return found.trust.revoked if found.trust is not None else ()


def _not_newer(version: Version, published: Version) -> list[str]:
    new, old = version.release_version, published.release_version
    if new is None or old is None:
        return []
    if new == old:
        return [f"version {published.name}, which is published, has the same version number ({old})"]
    if (numbers := _numbers(new)) is not None and (others := _numbers(old)) is not None and numbers < others:
        return [f"its version number {new} is lower than that of what is published ({old})"]
    return []


def _numbers(version: str) -> tuple[int, ...] | None:
    """1.10.2 as numbers; None for anything else: its order is the vendor's own."""
    if not re.fullmatch(r"v?[0-9]+(\.[0-9]+)*", version):
        return None
    return tuple(int(part) for part in version.removeprefix("v").split("."))


def _text(moment: datetime) -> str:
    """As manifests have it."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
