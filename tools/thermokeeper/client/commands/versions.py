"""Commands of a vendor: templates, their versions, and the firmware of those."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from thermokeeper.client.commands.support import force_option, print_item, print_list, vendor_call, when
from thermokeeper.errors import ToolError
from thermokeeper.groups import Group

if TYPE_CHECKING:
    from thermokeeper.client.calls import VendorClient


@click.group(cls=Group)
def template() -> None:
    """Templates: one for each kind of device; its versions are what such devices can run."""


@template.command("create")
@click.argument("name")
@click.option("--description", default="", help="For people.")
@vendor_call
def template_create(client: "VendorClient", name: str, description: str, as_json: bool) -> None:
    """Create the template NAME.

    \b
    Example:
      thermokeeper template create Thermometer
    """
    made = client.create_template(name, description)
    print_item(made, as_json, {"template": made.name, "id": made.id})


@template.command("list")
@click.option("--limit", type=click.IntRange(1), help="At most so many.")
@vendor_call
def template_list(client: "VendorClient", limit: int | None, as_json: bool) -> None:
    """List the templates and what each has published."""
    columns: dict[str, Any] = {
        "TEMPLATE": lambda row: row.name,
        "PUBLISHED": lambda row: row.target_version,
        "ID": lambda row: row.id,
    }
    print_list(client.templates(limit), as_json, columns)


@template.command("withdraw")
@click.argument("name")
@vendor_call
def template_withdraw(client: "VendorClient", name: str, as_json: bool) -> None:
    """Take back what the template NAME has published: devices are then told that nothing is set."""
    client.withdraw(name)
    print_item(client.template(name), as_json, {"template": name, "published": None})


@template.command("failures")
@click.argument("name")
@click.option("--limit", type=click.IntRange(1), help="At most so many.")
@vendor_call
def template_failures(client: "VendorClient", name: str, limit: int | None, as_json: bool) -> None:
    """List the updates that failed on things of the template NAME, or that they refused, last told first."""
    _print_failures(client.template_failures(name, limit), as_json)


def _print_failures(found: Iterable[Any], as_json: bool) -> None:
    columns: dict[str, Any] = {
        "SERIAL": lambda row: row.serial_number,
        "VERSION": lambda row: row.version,
        "TIMES": lambda row: row.count,
        "LAST": lambda row: when(row.last),
        "WHY": lambda row: row.why,
    }
    print_list(found, as_json, columns)


@click.group(cls=Group)
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
@force_option
@vendor_call
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
    force: bool,
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
        force=force,
    )
    if firmware is not None:
        try:
            made = client.upload_firmware(made.id, firmware)
        except ToolError:
            client.delete_version(made.id)  # otherwise its name would be taken by a version without firmware
            raise
    if publish_it:
        try:
            client.publish(made.id, force)
        except ToolError as error:
            raise ToolError(f"{error}; version {made.name} is there, unpublished, until it is deleted") from None
        made = client.version(made.id)
    _show_version(made, as_json)


@version.command("list")
@click.argument("of", metavar="TEMPLATE")
@click.option("--limit", type=click.IntRange(1), help="At most so many.")
@vendor_call
def version_list(client: "VendorClient", of: str, limit: int | None, as_json: bool) -> None:
    """List the versions of TEMPLATE, oldest first; UPDATE: the bytes that devices download for it, with the earlier
    versions."""
    columns: dict[str, Any] = {
        "VERSION": lambda row: row.name,
        "PUBLISHED": lambda row: row.published,
        "PROTOTYPE": lambda row: row.prototype,
        "RELEASE": lambda row: row.release_version,
        "BYTES": lambda row: row.firmware_size,
        "UPDATE": _update_bytes,
        "ID": lambda row: row.id,
    }
    print_list(client.versions(of, limit), as_json, columns)


@version.command("show")
@click.argument("which", metavar="VERSION")
@vendor_call
def version_show(client: "VendorClient", which: str, as_json: bool) -> None:
    """Show VERSION, such as Thermometer/2."""
    _show_version(client.version(which), as_json)


@version.command("upload")
@click.argument("which", metavar="VERSION")
@click.argument("firmware", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@vendor_call
def version_upload(client: "VendorClient", which: str, firmware: Path, as_json: bool) -> None:
    """Upload the file FIRMWARE for VERSION. A version's firmware never changes: for another, make a new version."""
    _show_version(client.upload_firmware(which, firmware), as_json)


@version.command("publish")
@click.argument("which", metavar="VERSION")
@force_option
@vendor_call
def version_publish(client: "VendorClient", which: str, force: bool, as_json: bool) -> None:
    """Publish VERSION: the devices of its template should run it.

    Refused is what their boards would refuse: a release that no key of the product has signed, of another product,
    damaged, expired, too large. What is only unusual is refused until it is forced.

    \b
    Example:
      thermokeeper version publish Thermometer/2
    """
    client.publish(which, force)
    _show_version(client.version(which), as_json)


@version.command("failures")
@click.argument("which", metavar="VERSION")
@click.option("--limit", type=click.IntRange(1), help="At most so many.")
@vendor_call
def version_failures(client: "VendorClient", which: str, limit: int | None, as_json: bool) -> None:
    """List the things on which VERSION failed, or that refused it, last told first.

    \b
    Example:
      thermokeeper version failures Thermometer/2
    """
    _print_failures(client.failures(which, limit), as_json)


@version.command("delete")
@click.argument("which", metavar="VERSION")
@vendor_call
def version_delete(client: "VendorClient", which: str, as_json: bool) -> None:
    """Delete VERSION and its firmware; refused while it is published, targeted or run by a thing."""
    found = client.version(which)
    client.delete_version(found.id)
    print_item(found, as_json, {"deleted": found.name, "id": found.id})


def _update_bytes(row: Any) -> str | None:
    """The least and the most that an update to it costs."""
    sizes = sorted({one.size for one in row.downloads})
    return " to ".join(str(size) for size in dict.fromkeys(sizes[:1] + sizes[-1:])) or None


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
    for one in found.downloads:
        lines[f"update from {one.name}"] = f"{one.size} bytes"
    print_item(found, as_json, lines)
