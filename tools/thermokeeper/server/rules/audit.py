"""The audit: one line for each change of a token, a device, a claim, an access, an activation or an owner's target."""

from sqlalchemy.orm import Session

from thermokeeper.server.storage.dms_models import AuditLine

VENDOR = "vendor"


def note(session: Session, who: str, what: str, subject: str, detail: str = "") -> None:
    """Written with the change itself: both are there, or neither. No argument may hold a secret."""
    session.add(AuditLine(who=who, what=what, subject=subject, detail=detail))
