"""The values in messages - ids, names, times and the like - as types that say what is allowed."""

import re
import unicodedata
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, StrictBool, WithJsonSchema

from thermokeeper.contract import claim_codes
from thermokeeper.contract.times import format_time, parse_time

ID_PATTERN = r"^[0-9a-f]{32}$"
SERIAL_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
KEY_ID_PATTERN = r"^[0-9a-f]{16}$"
CODE_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$"
WORD_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$"
_DIGEST_PATTERN = r"^[0-9a-f]{64}$"
# what each pattern asks for, for a person
ASKED_BY = {
    ID_PATTERN: "32 hex digits in lower case",
    SERIAL_PATTERN: "1 to 64 letters, digits, . _ and -, the first a letter or digit",
    CODE_PATTERN: "1 to 32 letters, digits, . _ and -, the first a letter or digit",
    WORD_PATTERN: "1 to 64 letters, digits, . _ and -, the first no . or -",
    KEY_ID_PATTERN: "16 hex digits in lower case",
    _DIGEST_PATTERN: "64 hex digits in lower case",
    claim_codes.CODE_PATTERN: f"8 letters and digits, like {claim_codes.CODE_EXAMPLE}; none is U",
}


def is_id(text: str) -> bool:
    return re.fullmatch(ID_PATTERN[1:-1], text) is not None


def is_serial_number(text: str) -> bool:
    return re.fullmatch(SERIAL_PATTERN[1:-1], text) is not None


def is_word(text: str) -> bool:
    return re.fullmatch(WORD_PATTERN[1:-1], text) is not None


def _printable(text: str) -> str:
    if text != text.strip() or not text.isprintable():
        raise ValueError("has spaces at an end, or characters that can't be printed")
    return text


def _plain(text: str) -> str:
    if not all(char in " _-" or unicodedata.category(char)[0] in "LMN" for char in text):
        raise ValueError("has other characters than letters, digits, underscores, spaces and hyphens")
    return text


def _without_slash(text: str) -> str:
    if "/" in text:
        raise ValueError("must not have a slash")
    return text


def _text_lines(text: str) -> str:
    if not text.replace("\n", "").isprintable():
        raise ValueError("has characters that can't be printed")
    return text


def _plain_code(value: object) -> object:
    return claim_codes.plain(value) if isinstance(value, str) and len(value) <= 64 else value


def _moment(value: object) -> object:
    return parse_time(value) if isinstance(value, str) else value


def _only_text_or_moment(value: object) -> object:
    if not isinstance(value, (str, datetime)):
        raise ValueError("a time looks like 2026-11-21T20:13:18.000+0000")
    return value


Id = Annotated[str, Field(pattern=ID_PATTERN, examples=["d5673e80218f11e3a1c46c626dd90e00"])]
ProofHex = Annotated[str, Field(pattern=_DIGEST_PATTERN)]
KeyId = Annotated[str, Field(pattern=KEY_ID_PATTERN, examples=["5f1c0de2c4b8d1e9"])]
ClaimHash = Annotated[str, Field(pattern=_DIGEST_PATTERN)]
ClaimCode = Annotated[
    str, BeforeValidator(_plain_code), Field(pattern=claim_codes.CODE_PATTERN, examples=[claim_codes.CODE_EXAMPLE])
]
Name = Annotated[str, Field(min_length=1, max_length=64, examples=["ThermometerDevice"]), AfterValidator(_printable)]
ThingName = Annotated[Name, AfterValidator(_plain)]  # by people; what a device calls itself is a `Name`
VersionName = Annotated[
    str, Field(min_length=1, max_length=32, examples=["1"]), AfterValidator(_printable), AfterValidator(_without_slash)
]
ProductName = Annotated[str, Field(min_length=1, max_length=48, examples=["Thermometer"]), AfterValidator(_printable)]
Description = Annotated[str, Field(max_length=1000), AfterValidator(_text_lines)]
SerialNumber = Annotated[str, Field(pattern=SERIAL_PATTERN, examples=["THERM00000000000001"])]
Code = Annotated[str, Field(pattern=CODE_PATTERN, examples=["thermometer"])]
Time = Annotated[
    datetime,
    BeforeValidator(_moment),
    BeforeValidator(_only_text_or_moment),
    PlainSerializer(format_time, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "examples": ["2026-11-21T20:13:18.000+0000"]}),
]
Scalar = (
    StrictBool
    | Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)]
    | Annotated[float, Field(strict=True, allow_inf_nan=False)]
    | Annotated[str, Field(strict=True, max_length=1024)]
    | None
)
