"""The self-test: what a new board says from its reset on has to show that it is who it should be, and that it works."""

import re
from collections.abc import Iterable

from thermokeeper.errors import ToolError

_IDENTITY = re.compile(r"tk: identity: (.*)")
_TROUBLE = re.compile(r"tk: (?:sensor|state|trust|safe): (.*)")


def check(lines: Iterable[str], product: str, serial: str, expect: str) -> None:
    """Read a board's lines until it has named itself and then said `expect` (a pattern); ToolError if it doesn't.

    lines: end when the time is over.
    """
    named, trouble = False, ""
    for line in lines:
        identity = _IDENTITY.fullmatch(line)
        if identity:
            if identity[1] != f"{product}, serial {serial}":
                raise ToolError(f"the board says of itself: {identity[1][:120]}")
            named = True
        elif named and re.search(expect, line):
            return
        elif found := _TROUBLE.fullmatch(line):
            trouble = f"; it says: {found[1][:120]}"
    if not named:
        raise ToolError(f"the board doesn't say who it is in time{trouble}")
    raise ToolError(f"the board doesn't say {expect!r} in time{trouble}")
