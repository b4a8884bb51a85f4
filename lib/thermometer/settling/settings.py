"""Settings of this product that a factory record may carry. Pure."""

from keeper.talking.address import is_plain

_HOST_LIMIT = 100

# name: (seconds without one, least, most)
SETTINGS = {
    "period_s": (30, 1, 3600),
    "report_s": (60, 1, 3600),
    "sync_s": (900, 1, 86_400),
    "alive_s": (20, 0, 300),
}


def settings_from(record):
    """{"period_ms": ...} from a factory record's members; what is missing or out of bounds is the default."""
    found = {}
    for name, (default, least, most) in SETTINGS.items():
        value = record.get(name)
        if type(value) not in (int, float) or not least <= value <= most:
            value = default
        found[name[:-1] + "ms"] = int(value * 1000)
    return found


def is_host(value):
    """Whether it can be the name or the address of a time server."""
    return isinstance(value, str) and 0 < len(value) <= _HOST_LIMIT and is_plain(value) and " " not in value
