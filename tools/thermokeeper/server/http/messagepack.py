"""MessagePack on the wire: what is taken in, within limits, and what goes out.

Maps have text for keys; there are no binary and no ext types in it, times are text. This module must not know what the
messages mean, nor how a refusal looks.
"""

from typing import Any, NoReturn

import msgpack
from starlette.responses import JSONResponse

MEDIA_TYPE = "application/msgpack"
_MAX_MEMBERS = 32
_MAX_DEPTH = 8
# the library allots a list as its head announces it, and takes a thousand of them inside each other
_MAX_ITEMS = 2000


class BadMessage(ValueError):
    """What was sent is not MessagePack as it is used here; one line for a person, with nothing of the content."""


class TooLarge(BadMessage):
    """It is, but there is more of it than anything here needs."""


class MessagePackResponse(JSONResponse):
    """One of JSON by descent only: of others FastAPI doesn't show the types on the page at /docs."""

    media_type = MEDIA_TYPE

    def render(self, content: Any) -> bytes:
        packed = msgpack.packb(content)
        assert isinstance(packed, bytes)
        return packed


def unpack(data: bytes) -> object:
    """The one object that `data` holds: None, bool, int, float, str, list or dict with text for keys. Or BadMessage."""
    try:
        found: object = msgpack.unpackb(
            data,
            max_array_len=_MAX_ITEMS,
            max_map_len=_MAX_MEMBERS,
            max_bin_len=0,
            max_ext_len=0,
            object_pairs_hook=_members,
            ext_hook=_no_ext,
        )
    except BadMessage:
        raise
    except msgpack.StackError:
        raise BadMessage(f"too deep: at most {_MAX_DEPTH} lists and maps inside each other") from None
    except msgpack.ExtraData:
        raise BadMessage("more than one MessagePack object") from None
    except UnicodeDecodeError:
        raise BadMessage("a text is not UTF-8") from None
    except ValueError as error:
        if "max_array_len" in str(error):
            raise TooLarge(f"a list has more than {_MAX_ITEMS} items") from None
        raise BadMessage(_translated(str(error))) from None
    level = [found]
    for _ in range(_MAX_DEPTH + 1):
        if not level:
            return found
        level = [inner for item in level if isinstance(item, dict | list) for inner in _inside(item)]
    raise BadMessage(f"too deep: at most {_MAX_DEPTH} lists and maps inside each other")


def _inside(item: dict[str, object] | list[object]) -> list[object]:
    return list(item.values()) if isinstance(item, dict) else item


def _members(pairs: list[tuple[object, object]]) -> dict[object, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise BadMessage("a map has a key twice")
    if not all(isinstance(key, str) for key in members):
        raise BadMessage("a map's key is not a text")
    return members


def _no_ext(_code: int, _data: bytes) -> NoReturn:
    raise BadMessage("ext types have no place here: a time is text like 2026-11-21T20:13:18.000+0000")


def _translated(reason: str) -> str:
    """The library's reason in our words."""
    for word, meaning in (
        ("max_map_len", f"a map has more than {_MAX_MEMBERS} members"),
        ("max_bin_len", "binary has no place here: send text"),
        ("max_ext_len", "ext types have no place here: a time is text like 2026-11-21T20:13:18.000+0000"),
        ("max_str_len", "a text is longer than the body"),
        ("map key", "a map's key is not a text"),
        ("incomplete", "it breaks off"),
    ):
        if word in reason:
            return meaning
    return "not MessagePack"
