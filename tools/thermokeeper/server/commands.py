"""Commands: `server`, and what a vendor does through it: template, version, product, serial, owner, thing.

Only click is imported at once; the rest when a command runs, so that `--help` answers fast.
"""

import functools
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from thermokeeper.errors import ToolError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from thermokeeper.server.client import OwnerClient, VendorClient

DEFAULT_PORT = 8210
Function = Callable[..., Any]
_file = click.Path(dir_okay=False, path_type=Path)


def _default_data() -> Path:
    import platformdirs

    return platformdirs.user_data_path("thermokeeper") / "server"


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


def _json_option(function: Function) -> Function:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(function)


def _vendor_call(function: Function) -> Function:
    """Give a command the options of the vendor's side; it is called with a VendorClient first."""

    @_server_option
    @click.option(
        "--vendor-token",
        envvar="THERMOKEEPER_VENDOR_TOKEN",
        show_envvar=True,
        help="The server's vendor token (a file or the environment is safer: arguments are seen by other users).",
    )
    @click.option(
        "--vendor-token-file",
        type=_file,
        envvar="THERMOKEEPER_VENDOR_TOKEN_FILE",
        show_envvar=True,
        help="File with the vendor token; by default that of a server run here with its default folder.",
    )
    @_json_option
    @functools.wraps(function)
    def command(url: str, vendor_token: str | None, vendor_token_file: Path | None, **arguments: Any) -> None:
        from thermokeeper.server.client import VendorClient

        with VendorClient(url, _token(vendor_token, vendor_token_file)) as client:
            function(client, **arguments)

    return command


def _owner_call(function: Function) -> Function:
    @_server_option
    @click.option(
        "--owner-token",
        envvar="THERMOKEEPER_OWNER_TOKEN",
        show_envvar=True,
        required=True,
        help="Token that `owner create` printed.",
    )
    @_json_option
    @functools.wraps(function)
    def command(url: str, owner_token: str, **arguments: Any) -> None:
        from thermokeeper.server.client import OwnerClient
        from thermokeeper.server.settings import check_token

        with OwnerClient(url, check_token(owner_token, "--owner-token")) as client:
            function(client, **arguments)

    return command


def _token(token: str | None, file: Path | None) -> str:
    from thermokeeper.server.settings import TOKEN_FILE, check_token, read_token

    if token is not None:
        return check_token(token, "--vendor-token")
    path = file or _default_data() / TOKEN_FILE
    if file is None and not path.exists():
        raise ToolError("whose token? give --vendor-token-file, or set THERMOKEEPER_VENDOR_TOKEN")
    return read_token(path)


# -- output ------------------------------------------------------------------------------------------------------------


def _print_json(found: object) -> None:
    click.echo(json.dumps(found, indent=2, ensure_ascii=False))


def _dump(item: "BaseModel") -> Any:
    return item.model_dump(mode="json", by_alias=True)


def _print_list(items: Iterable[Any], as_json: bool, columns: dict[str, Callable[[Any], object]]) -> None:
    """A table with a heading, or a JSON list."""
    items = list(items)
    if as_json:
        _print_json([_dump(item) for item in items])
        return
    rows = [list(columns), *([_text(value(item)) for value in columns.values()] for item in items)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(columns))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if not items:
        click.echo("(none)")


def _print_item(item: "BaseModel", as_json: bool, lines: dict[str, object]) -> None:
    """One thing as `name  value` lines, or as JSON."""
    if as_json:
        _print_json(_dump(item))
        return
    width = max(map(len, lines))
    for name, value in lines.items():
        click.echo(f"{name.ljust(width)}  {_text(value)}")


def _text(value: object) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    name = getattr(value, "name", None)  # a template or version
    return str(value if name is None else name)


def _when(moment: Any) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%d %H:%M:%S} UTC"


# -- server ------------------------------------------------------------------------------------------------------------


@click.group()
def server() -> None:
    """Run the provisioning server.

    \b
    Example, from nothing to a device that can activate:
      thermokeeper server run                                   (in a terminal of its own)
      thermokeeper template create Thermometer
      thermokeeper version create --template Thermometer --firmware thermometer-1.0.0.tkr --publish 1
      thermokeeper product create thermometer --name Thermometer --template Thermometer
      thermokeeper serial add --product thermometer THERM00000000000001
    """


@server.command("run")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 is all of them.")
@click.option("--port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, show_default=True, help="0: a free one.")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the database, firmware and token.  [default: a folder of the user's]",
)
@click.option(
    "--database",
    "database_url",
    envvar="THERMOKEEPER_DATABASE",
    show_envvar=True,
    help="Database URL, such as postgresql://user:password@host/name.  [default: SQLite in the data folder]",
)
@click.option("--vendor-token-file", type=_file, help="File that keeps the vendor token.  [default: DATA/vendor-token]")
@click.option("--behind-proxy", metavar="ADDRESS", help="A reverse proxy whose X-Forwarded-For tells who calls.")
@click.option("--quiet", is_flag=True, help="No line for each request.")
def run(
    host: str,
    port: int,
    data: Path | None,
    database_url: str | None,
    vendor_token_file: Path | None,
    behind_proxy: str | None,
    quiet: bool,
) -> None:
    """Run the server until Ctrl-C.

    The first start makes the vendor token, prints it once and keeps it in a file that only you can read.
    The calls are explained at the address it prints, on the page /docs.

    \b
    Example: a server for devices in this network, on port 8000
      thermokeeper server run --host 0.0.0.0 --port 8000 --data ./server
    """
    import uvicorn

    from thermokeeper.server.local import configuration, listen, url_of
    from thermokeeper.server.settings import TOKEN_FILE, Settings, vendor_token

    data = data or _default_data()
    token, made = vendor_token(data, vendor_token_file)
    settings = Settings(data, token, database_url)
    config = configuration(settings, access_log=not quiet, log_level="info", proxy=behind_proxy)
    listening = listen(host, port)
    url = url_of(listening)
    click.echo(f"Thermokeeper server at {url} (its calls: {url}/docs), data in {data}")
    if made:
        click.echo(f"vendor token, shown this once: {token}")
    click.echo(f"vendor token kept in {vendor_token_file or data / TOKEN_FILE}; Ctrl-C stops")
    try:
        uvicorn.Server(config).run([listening])
    except KeyboardInterrupt:
        click.echo("stopped")


# -- templates and versions --------------------------------------------------------------------------------------------


@click.group()
def template() -> None:
    """Templates: one for each kind of device; its versions are what such devices can run."""


@template.command("create")
@click.argument("name")
@click.option("--description", default="", help="For people.")
@_vendor_call
def template_create(client: "VendorClient", name: str, description: str, as_json: bool) -> None:
    """Create the template NAME.

    \b
    Example:
      thermokeeper template create Thermometer
    """
    made = client.create_template(name, description)
    _print_item(made, as_json, {"template": made.name, "id": made.id})


@template.command("list")
@_vendor_call
def template_list(client: "VendorClient", as_json: bool) -> None:
    """List the templates and what each has published."""
    columns: dict[str, Any] = {
        "TEMPLATE": lambda row: row.name,
        "PUBLISHED": lambda row: row.target_version,
        "ID": lambda row: row.id,
    }
    _print_list(client.templates(), as_json, columns)


@template.command("withdraw")
@click.argument("name")
@_vendor_call
def template_withdraw(client: "VendorClient", name: str, as_json: bool) -> None:
    """Take back what the template NAME has published: devices are then told that nothing is set."""
    client.withdraw(name)
    _print_item(client.template(name), as_json, {"template": name, "published": None})


@click.group()
def version() -> None:
    """Versions of a template, with their firmware. A version is named TEMPLATE/NAME, or by its id."""


@version.command("create")
@click.argument("name")
@click.option("--template", "of", required=True, help="Template, by name or id.")
@click.option("--description", default="", help="For people.")
@click.option("--firmware", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="File to upload.")
@click.option("--publish", "publish_it", is_flag=True, help="Devices of the template should run it from now on.")
@click.option("--prototype", is_flag=True, help="For chosen serial numbers only; can't be published.")
@click.option(
    "--by-thing/--not-by-thing",
    default=True,
    show_default=True,
    help="Whether devices may update to it without asking their owner.",
)
@click.option("--update-to", metavar="VERSION", help="What devices that run it are offered.")
@click.option("--automatic", is_flag=True, help="They may take that without asking their owner.")
@_vendor_call
def version_create(
    client: "VendorClient",
    name: str,
    of: str,
    description: str,
    firmware: Path | None,
    publish_it: bool,
    prototype: bool,
    by_thing: bool,
    update_to: str | None,
    automatic: bool,
    as_json: bool,
) -> None:
    """Create the version NAME of a template.

    \b
    Example: make, upload and publish version 2
      thermokeeper version create --template Thermometer --firmware thermometer-2.0.0.tkr --publish 2
    """
    if publish_it and firmware is None:
        raise ToolError("--publish needs --firmware: without firmware there is nothing to run")
    if publish_it and prototype:
        raise ToolError("a prototype can't be published: drop one of --prototype and --publish")
    made = client.create_version(
        of,
        name,
        description,
        prototype=prototype,
        update_performed_by_thing=by_thing,
        update_to_version=update_to,
        update_automatic=automatic,
    )
    if firmware is not None:
        try:
            made = client.upload_firmware(made.id, firmware)
        except ToolError:
            client.delete_version(made.id)  # otherwise its name would be taken by a version without firmware
            raise
    if publish_it:
        client.publish(made.id)
        made = client.version(made.id)
    _show_version(made, as_json)


@version.command("list")
@click.argument("of", metavar="TEMPLATE")
@_vendor_call
def version_list(client: "VendorClient", of: str, as_json: bool) -> None:
    """List the versions of TEMPLATE, oldest first."""
    columns: dict[str, Any] = {
        "VERSION": lambda row: row.name,
        "PUBLISHED": lambda row: row.published,
        "PROTOTYPE": lambda row: row.prototype,
        "RELEASE": lambda row: row.release_version,
        "BYTES": lambda row: row.firmware_size,
        "ID": lambda row: row.id,
    }
    _print_list(client.versions(of), as_json, columns)


@version.command("show")
@click.argument("which", metavar="VERSION")
@_vendor_call
def version_show(client: "VendorClient", which: str, as_json: bool) -> None:
    """Show VERSION, such as Thermometer/2."""
    _show_version(client.version(which), as_json)


@version.command("upload")
@click.argument("which", metavar="VERSION")
@click.argument("firmware", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_vendor_call
def version_upload(client: "VendorClient", which: str, firmware: Path, as_json: bool) -> None:
    """Upload the file FIRMWARE for VERSION. A version's firmware never changes: for another, make a new version."""
    _show_version(client.upload_firmware(which, firmware), as_json)


@version.command("publish")
@click.argument("which", metavar="VERSION")
@_vendor_call
def version_publish(client: "VendorClient", which: str, as_json: bool) -> None:
    """Publish VERSION: the devices of its template should run it.

    \b
    Example:
      thermokeeper version publish Thermometer/2
    """
    client.publish(which)
    _show_version(client.version(which), as_json)


@version.command("delete")
@click.argument("which", metavar="VERSION")
@_vendor_call
def version_delete(client: "VendorClient", which: str, as_json: bool) -> None:
    """Delete VERSION and its firmware; refused while it is published, targeted or run by a thing."""
    found = client.version(which)
    client.delete_version(found.id)
    _print_item(found, as_json, {"deleted": found.name, "id": found.id})


def _show_version(found: Any, as_json: bool) -> None:
    lines: dict[str, object] = {
        "version": found.name,
        "id": found.id,
        "published": found.published,
        "prototype": found.prototype,
        "firmware": f"{found.firmware_size} bytes" if found.firmware_size is not None else None,
        "sha256": found.firmware_sha256,
        "release": f"{found.release_version}, digest {found.release}" if found.release else None,
        "by thing": found.update_performed_by_thing,
        "update to": found.update_to_version,
        "automatic": found.update_automatic,
        "description": found.description,
    }
    _print_item(found, as_json, lines)


# -- products and serial numbers ---------------------------------------------------------------------------------------


@click.group()
def product() -> None:
    """Products: a name for people, a default template, and serial numbers."""


@product.command("create")
@click.argument("code")
@click.option("--name", required=True, help="For people; things get names like `NAME 2`.")
@click.option("--template", "of", required=True, help="Default template, by name or id.")
@_vendor_call
def product_create(client: "VendorClient", code: str, name: str, of: str, as_json: bool) -> None:
    """Create the product CODE.

    \b
    Example:
      thermokeeper product create thermometer --name Thermometer --template Thermometer
    """
    made = client.create_product(code, name, of)
    _print_item(made, as_json, {"product": made.code, "name": made.name, "id": made.id})


@product.command("list")
@_vendor_call
def product_list(client: "VendorClient", as_json: bool) -> None:
    """List the products."""
    names = {} if as_json else {found.id: found.name for found in client.templates()}
    columns: dict[str, Any] = {
        "PRODUCT": lambda row: row.code,
        "NAME": lambda row: row.name,
        "TEMPLATE": lambda row: names.get(row.default_template),
        "ID": lambda row: row.id,
    }
    _print_list(client.products(), as_json, columns)


@click.group()
def serial() -> None:
    """Serial numbers: which devices there are, what each should run, and which are blocked."""


@serial.command("add")
@click.argument("numbers", nargs=-1, metavar="[SERIAL]...")
@click.option("--product", "of", required=True, help="Code of the product.")
@click.option("--from-file", type=click.File(encoding="utf-8"), help="File with one serial number a line (- is stdin).")
@click.option("--template", help="Template of their own, by name or id.")
@click.option("--target", metavar="VERSION", help="Target version of their own.")
@_vendor_call
def serial_add(
    client: "VendorClient",
    numbers: tuple[str, ...],
    of: str,
    from_file: Any,
    template: str | None,
    target: str | None,
    as_json: bool,
) -> None:
    """Add serial numbers to a product: all of them or none.

    \b
    Example:
      thermokeeper serial add --product thermometer THERM00000000000001 THERM00000000000002
    """
    try:
        wanted = [*numbers, *(line.strip() for line in from_file or ())]
    except UnicodeDecodeError:
        raise ToolError("the file with serial numbers is not text") from None
    wanted = [number for number in wanted if number]
    if not wanted:
        raise ToolError("which? give serial numbers, or --from-file")
    added = client.add_serials(of, wanted, template, target)
    if as_json:
        _print_json({"added": added})
    else:
        click.echo(f"added {added} serial number{'s' if added != 1 else ''} to {of}")


@serial.command("list")
@click.argument("of", metavar="PRODUCT")
@click.option("--status", type=click.Choice(["new", "active", "blocked"]), help="Only these.")
@click.option("--limit", type=click.IntRange(1), help="At most so many.")
@_vendor_call
def serial_list(client: "VendorClient", of: str, status: str | None, limit: int | None, as_json: bool) -> None:
    """List the serial numbers of PRODUCT."""
    columns: dict[str, Any] = {
        "SERIAL": lambda row: row.serial_number,
        "STATUS": lambda row: row.status,
        "TARGET": lambda row: row.target_version,
        "THING": lambda row: row.thing,
    }
    _print_list(client.serials(of, status, limit), as_json, columns)


@serial.command("show")
@click.argument("number", metavar="SERIAL")
@_vendor_call
def serial_show(client: "VendorClient", number: str, as_json: bool) -> None:
    """Show one serial number."""
    _show_serial(client.serial(number), as_json)


@serial.command("set")
@click.argument("number", metavar="SERIAL")
@click.option("--template", help="A template of its own, by name or id.")
@click.option("--no-template", is_flag=True, help="The product's default template again.")
@click.option("--target", metavar="VERSION", help="A target version of its own; may be a prototype.")
@click.option("--no-target", is_flag=True, help="What its template has published again.")
@_vendor_call
def serial_set(
    client: "VendorClient",
    number: str,
    template: str | None,
    no_template: bool,
    target: str | None,
    no_target: bool,
    as_json: bool,
) -> None:
    """Give a serial number a template or a target version of its own.

    \b
    Example: one device tries a prototype
      thermokeeper serial set THERM00000000000001 --target Thermometer/3-test
    """
    if (template and no_template) or (target and no_target):
        raise ToolError("give either a value or the option that takes it away, not both")
    changes: dict[str, str | None] = {}
    if template or no_template:
        changes["template"] = template
    if target or no_target:
        changes["target_version"] = target
    if not changes:
        raise ToolError("nothing to set: see `thermokeeper serial set --help`")
    _show_serial(client.change_serial(number, **changes), as_json)


@serial.command("block")
@click.argument("number", metavar="SERIAL")
@_vendor_call
def serial_block(client: "VendorClient", number: str, as_json: bool) -> None:
    """Block a serial number: its device is refused everything, and can't activate."""
    _show_serial(client.block(number), as_json)


@serial.command("unblock")
@click.argument("number", metavar="SERIAL")
@_vendor_call
def serial_unblock(client: "VendorClient", number: str, as_json: bool) -> None:
    """Unblock a serial number."""
    _show_serial(client.unblock(number), as_json)


def _show_serial(found: Any, as_json: bool) -> None:
    target = _text(found.target_version)
    lines: dict[str, object] = {
        "serial": found.serial_number,
        "product": found.product,
        "status": found.status,
        "template": f"{found.template} ({'its own' if found.own_template else 'the default of its product'})",
        "target": f"{target} ({'its own' if found.own_target else 'what its template has published'})",
        "thing": found.thing,
    }
    _print_item(found, as_json, lines)


# -- things and owners -------------------------------------------------------------------------------------------------


@click.group()
def thing() -> None:
    """Things: the devices as the server knows them. A thing is named by its id or its serial number."""


@thing.command("list")
@click.option("--limit", type=click.IntRange(1), help="At most so many.")
@_vendor_call
def thing_list(client: "VendorClient", limit: int | None, as_json: bool) -> None:
    """List the things, with what they run and when they were last seen."""
    columns: dict[str, Any] = {
        "SERIAL": lambda row: row.serial_number,
        "NAME": lambda row: row.name,
        "RUNS": lambda row: row.current_version,
        "TARGET": lambda row: row.target_version,
        "LAST SEEN": lambda row: _when(row.last_seen),
        "ID": lambda row: row.id,
    }
    _print_list(client.things(limit), as_json, columns)


@thing.command("show")
@click.argument("which", metavar="THING")
@_vendor_call
def thing_show(client: "VendorClient", which: str, as_json: bool) -> None:
    """Show all that the server knows of THING (an id or a serial number).

    \b
    Example:
      thermokeeper thing show THERM00000000000001
    """
    found = client.thing(which)
    lines: dict[str, object] = {
        "thing": found.name,
        "id": found.id,
        "serial": found.serial_number,
        "product": found.product,
        "status": found.status,
        "owner": found.owner,
        "runs": found.current_version,
        "confirmed": _when(found.version_confirmed),
        "target": found.target_version,
        "last seen": _when(found.last_seen),
        "activated": f"{found.activation_count} times, last {_text(_when(found.last_activation))}",
    }
    for reading in found.readings:
        lines[reading.event] = f"{reading.value:g} at {_when(reading.at)} ({reading.count} readings)"
    _print_item(found, as_json, lines)


@thing.command("readings")
@click.argument("which", metavar="THING")
@click.option("--event", help="Only of this event, such as temperature.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many.")
@_vendor_call
def thing_readings(client: "VendorClient", which: str, event: str | None, limit: int, as_json: bool) -> None:
    """List the readings of THING, last arrived first."""
    _print_readings(client.datapoints(which, event, limit), as_json)


def _print_readings(found: Iterable[Any], as_json: bool) -> None:
    columns: dict[str, Any] = {
        "AT": lambda row: _when(row.at),
        "EVENT": lambda row: row.event,
        "VALUE": lambda row: f"{row.value:g}",
        "ARRIVED": lambda row: _when(row.arrived),
    }
    _print_list(found, as_json, columns)


@click.group()
def owner() -> None:
    """Owners: accounts that the vendor makes, and what an owner does with one."""


@owner.command("create")
@click.argument("name")
@_vendor_call
def owner_create(client: "VendorClient", name: str, as_json: bool) -> None:
    """Create the account NAME and print its token, this once.

    \b
    Example:
      thermokeeper owner create "Jane Doe"
    """
    made = client.create_owner(name)
    _print_item(made, as_json, {"owner": made.name, "id": made.id, "token": made.token})


@owner.command("list")
@_vendor_call
def owner_list(client: "VendorClient", as_json: bool) -> None:
    """List the accounts."""
    columns: dict[str, Any] = {
        "OWNER": lambda row: row.name,
        "CREATED": lambda row: _when(row.created),
        "ID": lambda row: row.id,
    }
    _print_list(client.owners(), as_json, columns)


@owner.command("claim")
@click.argument("number", metavar="SERIAL")
@click.option("--name", help="For the thing; generated if there is none.")
@_owner_call
def owner_claim(client: "OwnerClient", number: str, name: str | None, as_json: bool) -> None:
    """As an owner, claim the device SERIAL; its thing is made even before it first calls.

    \b
    Example:
      thermokeeper owner claim THERM00000000000001 --name "Kitchen" --owner-token TOKEN
    """
    found = client.claim(number, name)
    _print_item(found, as_json, {"thing": found.name, "id": found.id, "serial": found.serial_number})


@owner.command("things")
@_owner_call
def owner_things(client: "OwnerClient", as_json: bool) -> None:
    """As an owner, list one's things."""

    def last(row: Any) -> str | None:
        return ", ".join(f"{reading.event} {reading.value:g}" for reading in row.readings) or None

    columns: dict[str, Any] = {
        "SERIAL": lambda row: row.serial_number,
        "NAME": lambda row: row.name,
        "LAST SEEN": lambda row: _when(row.last_seen),
        "LAST READINGS": last,
        "ID": lambda row: row.id,
    }
    _print_list(client.things(), as_json, columns)


@owner.command("readings")
@click.argument("thing_id", metavar="THING")
@click.option("--event", help="Only of this event, such as temperature.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many.")
@_owner_call
def owner_readings(client: "OwnerClient", thing_id: str, event: str | None, limit: int, as_json: bool) -> None:
    """As an owner, list the readings of the thing with the id THING, last arrived first."""
    _print_readings(client.datapoints(thing_id, event, limit), as_json)


GROUPS = [server, template, version, product, serial, thing, owner]
