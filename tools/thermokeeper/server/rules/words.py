"""Names of events and properties, and the ids that follow from them: programs of the original service use those."""

import hashlib
import re
from collections.abc import Iterable

_ID = re.compile(r"[0-9a-f]{32}")


def id_of(word: str) -> str:
    """The id, of 32 hex digits, by which an event or a property may be addressed: it follows from its name."""
    return hashlib.sha256(word.encode()).hexdigest()[:32]


def looks_like_id(word: str) -> bool:
    return _ID.fullmatch(word) is not None


def name_of(word: str, names: Iterable[str]) -> str:
    """The one of `names` whose id this is; else the word itself, which is a name then."""
    return next((name for name in names if id_of(name) == word), word)
