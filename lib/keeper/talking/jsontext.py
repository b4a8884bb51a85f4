"""JSON that came from outside, within bounds: what is nested, or of many members, takes far more memory than its text.

Pure; must not know what the JSON is about. How long the text may be is decided by those who read it.
"""

import json

_MAX_BRACKETS = 64  # 4 KB of them, nested, would take 150 KB of a board's heap
_MAX_COMMAS = 256  # 4 KB of short members would take 30 KB


def loads(data):
    """What the UTF-8 text in `data` (bytes-like) says; ValueError, with the reason, if it isn't JSON."""
    data = bytes(data)
    if data.count(b"{") + data.count(b"[") > _MAX_BRACKETS:
        raise ValueError("nested too deep")
    if data.count(b",") > _MAX_COMMAS:
        raise ValueError("of too many members")
    try:
        # decoded here: CPython's json would also take UTF-16, MicroPython's not
        return json.loads(str(data, "utf-8"))
    except (ValueError, TypeError, RuntimeError):
        raise ValueError("not JSON")
