"""What is wrong with a message, in words that a person understands, and without the value: it may be a secret."""

from typing import Any

from thermokeeper.contract import dms_schemas, fields

_ASKED_BY = {**fields.ASKED_BY, **dms_schemas.ASKED_BY}


def in_words(fault: Any) -> str:
    """Of one of pydantic's `errors()`: what is wrong there, not where that is."""
    if fault["type"] == "string_pattern_mismatch":
        return f"has to be {_ASKED_BY.get(fault['ctx']['pattern'], 'of another form')}"
    return str(fault["msg"]).removeprefix("Value error, ")
