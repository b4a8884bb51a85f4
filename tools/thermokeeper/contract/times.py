"""Times on the wire: `2026-11-21T20:13:18.000+0000`, in UTC, to the millisecond."""

import re
from datetime import UTC, datetime, timedelta, timezone

_FORM = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?"
    r"(?:Z|([+-])([0-9]{2}):?([0-9]{2}))"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now() -> datetime:
    """This moment, to the millisecond that the wire has."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def format_time(moment: datetime) -> str:
    moment = moment.astimezone(UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}+0000"


def parse_time(text: str) -> datetime:
    """The inverse; also takes `Z`, another offset, and a fraction of another length or none. ValueError otherwise."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError("a time looks like 2026-11-21T20:13:18.000+0000")
    year, month, day, hour, minute, second, fraction, sign, offset_hours, offset_minutes = match.groups()
    millisecond = int((fraction or "0").ljust(3, "0")[:3])
    offset = timedelta(hours=int(offset_hours or 0), minutes=int(offset_minutes or 0))
    if int(year) < 1970:
        raise ValueError("a time before 1970: the clock was not set")
    try:
        zone = timezone(-offset if sign == "-" else offset)
        parts = (int(year), int(month), int(day), int(hour), int(minute), int(second), millisecond * 1000)
        return datetime(*parts, tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"not a time: {error}") from None


def milliseconds(moment: datetime) -> int:
    """Since 1970."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def from_milliseconds(number: int) -> datetime | None:
    """The inverse; None if there is no such moment."""
    try:
        return _EPOCH + timedelta(milliseconds=number)
    except OverflowError:
        return None
