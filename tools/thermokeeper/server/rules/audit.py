"""The audit: one line for each change that a vendor or an owner makes, and for each step of a device's life.

Who made it, the call knows (`calling`): its account, its owner, with which token, under which id of the log.
"""

from sqlalchemy.orm import Session

from thermokeeper.server import calling
from thermokeeper.server.storage.dms_models import AuditLine

VENDOR = "vendor"  # whichever account calls


def note(session: Session, who: str, what: str, subject: str, detail: str = "") -> None:
    """Written with the change itself: both are there, or neither. No argument may hold a secret."""
    call = calling.current() or calling.Call("")
    if who == VENDOR:
        who = call.who or VENDOR
    session.add(AuditLine(who=who, what=what, subject=subject, detail=detail, token=call.token, call=call.id))


def changed(session: Session, what: str, subject: str, detail: str = "") -> None:
    """The same, of the account that calls."""
    note(session, VENDOR, what, subject, detail)
