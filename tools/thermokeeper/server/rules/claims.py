"""Who may claim a device: who shows the code on its label, or the one that its owner gave him.

Where a product demands codes, a serial number that there isn't is refused in the words of one whose code is wrong.
"""

import hmac
import threading

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from thermokeeper.contract import claim_codes
from thermokeeper.contract.times import now
from thermokeeper.server.refusals import ApiError, Busy, conflict, not_found
from thermokeeper.server.storage.dms_models import DmsDevice
from thermokeeper.server.storage.models import Product, Serial, Thing

_slowly = threading.BoundedSemaphore(2)  # each hash takes 16 MiB
_waiting = threading.BoundedSemaphore(8)  # of the 40 workers: the others stay for the devices


def hash_of(code: str | None, number: str) -> str | None:
    """What a code is compared by; None without one. `Busy` if too many are made at once.

    Takes its time, so never while a session is open; and as long for a serial number that there isn't.
    """
    if code is None:
        return None
    if not _waiting.acquire(blocking=False):
        raise Busy
    try:
        with _slowly:
            return claim_codes.hashed(code, number)
    finally:
        _waiting.release()


def unknown(session: Session, shown: str | None) -> ApiError:
    """What is said of a serial number that there isn't."""
    if shown is not None:
        return wrong_code()
    if session.scalar(select(exists().where(Product.claim_code_required))):
        return code_missing()
    return not_found("serial number")


def code_missing() -> ApiError:
    return ApiError(403, "claim_code_required", "a claim takes the code that is on the device's label")


def wrong_code() -> ApiError:
    message = "the serial number or the claim code isn't right, or the code was used or is too old: look at the label"
    return ApiError(403, "claim_code_wrong", message)


def check(serial: Serial, thing: Thing | None, device: DmsDevice | None, owner_id: str, shown: str | None) -> None:
    """ApiError 403 or 409 unless this owner may claim the device. The rows must be locked.

    device: if it provisions itself: that took a token, so what its product demands isn't meant for it. shown:
    `hash_of` the code that the owner gave.
    """
    if thing is not None and thing.owner_id == owner_id:
        return  # perhaps again, since the answer was lost: a code for handing over is used up by then
    if thing is not None and is_handed_over(thing, shown):
        return
    if serial.claim_hash is not None or (serial.product.claim_code_required and device is None):
        if shown is None:
            raise code_missing()
        if serial.claim_hash is None or not hmac.compare_digest(shown, serial.claim_hash):
            raise wrong_code()
    if (thing is not None and thing.owner_id is not None) or (
        device is not None and device.owner_id not in (None, owner_id)
    ):
        message = "another owner has claimed this serial number; he can hand it over: `thermokeeper owner hand-over`"
        raise conflict("claimed", message)


def is_handed_over(thing: Thing, shown: str | None) -> bool:
    """Whether this is the code that its owner made for the next one."""
    if shown is None or thing.handover_hash is None or thing.handover_expires_at is None:
        return False
    return hmac.compare_digest(shown, thing.handover_hash) and thing.handover_expires_at > now()
