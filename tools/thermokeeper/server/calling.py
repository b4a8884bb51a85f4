"""The call that is being worked on: its id, and who makes it. What is logged or audited asks here; it knows no HTTP.

A call's threads have it, too: they are started with the context of their call, and what one finds out all see.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class Call:
    """`who` is empty until a key, a token or a credential has said it: `account vendor`, `owner Jane`, `thing <id>`."""

    id: str
    who: str = ""
    token: str = ""  # name of the account's token that was shown; never the token
    refused: str = ""  # code of the refusal that it was answered with


_current: ContextVar[Call | None] = ContextVar("call", default=None)


def begin(call: Call) -> None:
    _current.set(call)


def current() -> Call | None:
    """None outside of a call: at the start, and in what runs beside."""
    return _current.get()


def known(who: str, token: str = "") -> None:
    """It is known now who calls."""
    if (call := _current.get()) is not None:
        call.who, call.token = who, token


def refused(code: str) -> None:
    """It is answered with this refusal."""
    if (call := _current.get()) is not None:
        call.refused = code
