"""Members of a factory record as they are given on a command line or in a CSV file: read, and checked.

What no board can use is refused, what it might misread is warned of. The thermometer's own settings are the table of
`thermometer.settling.settings`; other products have others, which can't be known here.
"""

import difflib
import json
import math
from collections.abc import Mapping
from typing import Any

from keeper.errors import FactoryError, NetError
from keeper.services.gadgetkeeper.joining import proof
from keeper.talking.address import Address
from thermokeeper.errors import ToolError

SERVICES = ("gadgetkeeper", "gecko_dms")
_THERMOMETER = "thermometer"
# name: (least, most) in seconds
SETTINGS = {"period_s": (1, 3600), "report_s": (1, 3600), "sync_s": (1, 86_400), "alive_s": (0, 300)}
_TAKEN = {"serial": "--serial", "product": "--product", "service": "--service", "server": "--server"}
_TAKEN |= {"plain_http": "--plain-http", "ca": "--ca"}
# members that aren't settings, but may be given like one
_OTHERS = ("token", "uuid", "secret", "ntp_host", "place")


def value_of(text: str) -> Any:
    """`10` is a number, `attic` a text; what JSON has no number for, like NaN or 1e400, is a text, too."""
    try:
        value = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return text
    return text if isinstance(value, float) and not math.isfinite(value) else value


def _no_number(name: str) -> None:
    raise ValueError(name)


def parse(text: str, option: str = "--set") -> tuple[str, Any]:
    """NAME=VALUE; ToolError if it isn't one, or the name has an option of its own."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise ToolError(f"{option} {text}: should look like period_s=10")
    if name in _TAKEN:
        raise ToolError(f"{option} {name}: that has an option of its own, {_TAKEN[name]}")
    return name, value if name in ("token", "ntp_host") else value_of(value)  # these may look like numbers


def check(members: Mapping[str, Any], product: str) -> list[str]:
    """What a board may misread, a line each; ToolError for what it can't use."""
    told: list[str] = []
    try:
        proof.secret_of(members)
    except FactoryError as error:
        raise ToolError(f"a device wouldn't accept this: {error}") from None
    host = members.get("ntp_host")
    if host is not None and (
        not isinstance(host, str) or not host or len(host) > 100 or not host.isascii() or " " in host
    ):
        raise ToolError(f"ntp_host {host!r} is no name or address of a time server")
    if product != _THERMOMETER:
        return told
    for name, value in members.items():
        if name in SETTINGS:
            least, most = SETTINGS[name]
            if type(value) not in (int, float) or not least <= value <= most:
                raise ToolError(
                    f"{name} {value!r}: a number of seconds from {least} to {most}, else the board ignores it"
                )
        elif name not in _OTHERS and name not in _TAKEN:
            near = difflib.get_close_matches(name, SETTINGS, 1, 0.6) or [one for one in SETTINGS if one[:-2] == name]
            if near:
                raise ToolError(f"the thermometer has no setting {name}; {near[0]} is meant, perhaps")
            told.append(f"the thermometer knows no setting {name}: it is kept in the record, and nothing else")
    return told


def check_server(server: str) -> None:
    """ToolError for an address that a board's own rules refuse at each call, or would misread."""
    try:
        Address(server)
        if "?" in server or "#" in server:
            raise NetError(f"not a usable address: {server}")
    except NetError as error:
        raise ToolError(f"--server: {error}; it looks like https://HOST[:PORT]") from None


def check_service(service: str) -> None:
    """ToolError for a service that no driver of ours speaks."""
    if service not in SERVICES:
        raise ToolError(f"--service {service}: there is none of that name; {' or '.join(SERVICES)}")
