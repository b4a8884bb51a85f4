"""What the commands of the server's side share: options, the client they give, and output as a table or JSON."""

import functools
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from thermokeeper.contract.places import CA_FILE, DEFAULT_PORT, TLS_FOLDER, default_data
from thermokeeper.errors import ToolError

if TYPE_CHECKING:
    from pydantic import BaseModel


class _Moment(click.ParamType[datetime]):
    """A moment in UTC, from a day or a time of one."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            self.fail("a time looks like 2026-11-21 or 2026-11-21T20:13:18Z", param, ctx)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)


FILE = click.Path(dir_okay=False, path_type=Path)
MOMENT = _Moment()
Function = Callable[..., Any]


# -- options that many commands share ----------------------------------------------------------------------------------


def _server_option(function: Function) -> Function:
    return click.option(
        "--server",
        "url",
        envvar="THERMOKEEPER_SERVER",
        default=f"http://127.0.0.1:{DEFAULT_PORT}",
        show_default=True,
        show_envvar=True,
        help="Address of the server.",
    )(function)


def _ca_option(function: Function) -> Function:
    return click.option(
        "--ca",
        type=FILE,
        envvar="THERMOKEEPER_CA",
        show_envvar=True,
        help="Certificate of the CA to trust for https; by default that of a server run here with its default folder.",
    )(function)


def _json_option(function: Function, wanted: bool) -> Function:
    if not wanted:
        return function
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(function)


def force_option(function: Function) -> Function:
    return click.option("--force", is_flag=True, help="Also if the server finds something unusual about a version.")(
        function
    )


def vendor_call(function: Function, json: bool = True) -> Function:
    """Give a command the options of the vendor's side; it is called with a VendorClient first.

    json: with the option of this name, as `as_json`.
    """
    of_json = functools.partial(_json_option, wanted=json)

    @_server_option
    @_ca_option
    @click.option(
        "--vendor-token",
        envvar="THERMOKEEPER_VENDOR_TOKEN",
        show_envvar=True,
        help="Token of a vendor's account (a file or the environment is safer: arguments are seen by other users).",
    )
    @click.option(
        "--vendor-token-file",
        type=FILE,
        envvar="THERMOKEEPER_VENDOR_TOKEN_FILE",
        show_envvar=True,
        help="File with such a token; by default the first account's, of a server run here with its default folder.",
    )
    @of_json
    @functools.wraps(function)
    def command(
        url: str, ca: Path | None, vendor_token: str | None, vendor_token_file: Path | None, **arguments: Any
    ) -> None:
        from thermokeeper.client.calls import VendorClient

        with VendorClient(url, _token(vendor_token, vendor_token_file), ca or _ca_of(url)) as client:
            function(client, **arguments)

    return command


def owner_call(function: Function, json: bool = True) -> Function:
    """The same of an owner's side, with an OwnerClient."""
    of_json = functools.partial(_json_option, wanted=json)

    @_server_option
    @_ca_option
    @click.option(
        "--owner-token",
        envvar="THERMOKEEPER_OWNER_TOKEN",
        show_envvar=True,
        required=True,
        help="Token that `owner create` printed.",
    )
    @of_json
    @functools.wraps(function)
    def command(url: str, ca: Path | None, owner_token: str, **arguments: Any) -> None:
        from thermokeeper.client.calls import OwnerClient
        from thermokeeper.contract.tokens import check_token

        with OwnerClient(url, check_token(owner_token, "--owner-token"), ca or _ca_of(url)) as client:
            function(client, **arguments)

    return command


def _token(token: str | None, file: Path | None) -> str:
    from thermokeeper.contract.tokens import TOKEN_FILE, check_token, read_token

    if token is not None:
        return check_token(token, "--vendor-token")
    path = file or default_data() / TOKEN_FILE
    if file is None and not path.exists():
        raise ToolError("whose token? give --vendor-token-file, or set THERMOKEEPER_VENDOR_TOKEN")
    return read_token(path)


def _ca_of(url: str) -> Path | None:
    """The CA of a server that was run here with its default folder, for an https server on this host."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
    except ValueError:
        return None  # no address at all: whoever opens it will say so
    path = default_data() / TLS_FOLDER / CA_FILE
    here = parts.scheme == "https" and parts.hostname in ("localhost", "127.0.0.1", "::1")
    return path if here and path.exists() else None


# -- output ------------------------------------------------------------------------------------------------------------


def print_json(found: object) -> None:
    click.echo(json.dumps(found, indent=2, ensure_ascii=False))


def _dump(item: "BaseModel") -> Any:
    return item.model_dump(mode="json", by_alias=True)


def print_list(items: Iterable[Any], as_json: bool, columns: dict[str, Callable[[Any], object]]) -> None:
    """A table with a heading, or a JSON list."""
    items = list(items)
    if as_json:
        print_json([_dump(item) for item in items])
        return
    rows = [list(columns), *([cell(value(item)) for value in columns.values()] for item in items)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(columns))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if not items:
        click.echo("(none)")


def print_item(item: "BaseModel", as_json: bool, lines: dict[str, object]) -> None:
    """One thing as `name  value` lines, or as JSON."""
    if as_json:
        print_json(_dump(item))
        return
    width = max(map(len, lines))
    for name, value in lines.items():
        click.echo(f"{name.ljust(width)}  {cell(value)}")


def cell(value: object) -> str:
    """What a terminal shows; a board's own text may hold anything, and commands nobody's terminal."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    name = getattr(value, "name", None)  # a template or version
    text = str(value if name is None else name)
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def when(moment: Any) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%d %H:%M:%S} UTC"
