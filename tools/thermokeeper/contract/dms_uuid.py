"""The uuid that a device makes from its serial number, so that a vendor knows it beforehand."""

from types import SimpleNamespace

from keeper.services.gecko_dms.joining import record as dms_record


def uuid_of(serial: str) -> str:
    """For a device whose factory record has none."""
    found: str = dms_record.uuid_of(SimpleNamespace(serial=serial, extra={}))
    return found
