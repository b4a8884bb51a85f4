"""Commands of a vendor and an owner: things, and the accounts of owners."""

from typing import TYPE_CHECKING, Any

import click

from thermokeeper.client.commands.support import cell, owner_call, print_item, print_list, vendor_call, when
from thermokeeper.errors import ToolError
from thermokeeper.groups import Group

if TYPE_CHECKING:
    from thermokeeper.client.calls import OwnerClient, VendorClient


@click.group(cls=Group)
def thing() -> None:
    """Things: the devices as the server knows them. A thing is named by its id or its serial number."""


@thing.command("list")
@click.option("--limit", type=click.IntRange(1), help="At most so many.")
@vendor_call
def thing_list(client: "VendorClient", limit: int | None, as_json: bool) -> None:
    """List the things, with what they run and when they were last seen."""
    columns: dict[str, Any] = {
        "SERIAL": lambda row: row.serial_number,
        "NAME": lambda row: row.name,
        "RUNS": lambda row: row.current_version,
        "TARGET": lambda row: row.target_version,
        "LAST SEEN": lambda row: when(row.last_seen),
        "ID": lambda row: row.id,
    }
    print_list(client.things(limit), as_json, columns)


@thing.command("show")
@click.argument("which", metavar="THING")
@vendor_call
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
        "owner": f"{cell(found.owner)}, since {when(found.owned_since)}" if found.owned_since else found.owner,
        "runs": found.current_version,
        "confirmed": when(found.version_confirmed),
        "target": found.target_version,
        "last seen": when(found.last_seen),
        "activated": f"{found.activation_count} times, last {cell(when(found.last_activation))}",
    }
    for reading in found.readings:
        lines[reading.event] = f"{reading.value:g} at {when(reading.at)} ({reading.count} readings)"
    for failure in found.update_failures:
        times = f"{failure.count} times, last {cell(when(failure.last))}"
        lines[f"failed update {cell(failure.version)}"] = f"{failure.why} ({times})"
    for one in found.properties:
        lines[f"property {one.name}"] = f"{one.value} (set {when(one.at)})"  # whatever a board calls it
    print_item(found, as_json, lines)


@click.group(cls=Group)
def owner() -> None:
    """Owners: accounts that the vendor makes, and what an owner does with one."""


@owner.command("create")
@click.argument("name")
@vendor_call
def owner_create(client: "VendorClient", name: str, as_json: bool) -> None:
    """Create the account NAME and print its token, this once.

    \b
    Example:
      thermokeeper owner create "Jane Doe"
    """
    made = client.create_owner(name)
    print_item(made, as_json, {"owner": made.name, "id": made.id, "token": made.token})


@owner.command("list")
@click.option("--limit", type=click.IntRange(1), help="At most so many.")
@vendor_call
def owner_list(client: "VendorClient", limit: int | None, as_json: bool) -> None:
    """List the accounts."""
    columns: dict[str, Any] = {
        "OWNER": lambda row: row.name,
        "CREATED": lambda row: when(row.created),
        "ID": lambda row: row.id,
    }
    print_list(client.owners(limit), as_json, columns)


@owner.command("claim")
@click.argument("number", metavar="SERIAL")
@click.option("--name", help="For the thing; generated if there is none.")
@click.option("--code", help="The claim code: on the label, or from the owner who hands the device over.")
@owner_call
def owner_claim(client: "OwnerClient", number: str, name: str | None, code: str | None, as_json: bool) -> None:
    """As an owner, claim the device SERIAL; its thing is made even before it first calls.

    \b
    Example:
      thermokeeper owner claim THERM00000000000001 --code 7K3Q-X9FD --name "Kitchen" --owner-token TOKEN
    """
    found = client.claim(number, name, code)
    print_item(found, as_json, {"thing": found.name, "id": found.id, "serial": found.serial_number})


@owner.command("things")
@owner_call
def owner_things(client: "OwnerClient", as_json: bool) -> None:
    """As an owner, list one's things."""

    def last(row: Any) -> str | None:
        return ", ".join(f"{reading.event} {reading.value:g}" for reading in row.readings) or None

    columns: dict[str, Any] = {
        "SERIAL": lambda row: row.serial_number,
        "NAME": lambda row: row.name,
        "LAST SEEN": lambda row: when(row.last_seen),
        "LAST READINGS": last,
        "ID": lambda row: row.id,
    }
    print_list(client.things(), as_json, columns)


@owner.command("versions")
@click.argument("thing_id", metavar="THING")
@owner_call
def owner_versions(client: "OwnerClient", thing_id: str, as_json: bool) -> None:
    """As an owner, list the versions that one may choose for the thing with the id THING."""
    columns: dict[str, Any] = {
        "VERSION": lambda row: row.name,
        "RELEASE": lambda row: row.release_version,
        "DESCRIPTION": lambda row: row.description,
        "ID": lambda row: row.id,
    }
    print_list(client.available_versions(thing_id), as_json, columns)


@owner.command("target")
@click.argument("thing_id", metavar="THING")
@click.argument("version", metavar="[VERSION]", required=False)
@click.option("--vendors", is_flag=True, help="What the vendor publishes again.")
@owner_call
def owner_target(client: "OwnerClient", thing_id: str, version: str | None, vendors: bool, as_json: bool) -> None:
    """As an owner, choose what the thing with the id THING should run. VERSION is the name or id of one that
    `owner versions` lists, or of the one that it runs, to stay with that.

    \b
    Example:
      thermokeeper owner target d5673e80218f11e3a1c46c626dd90e00 2 --owner-token TOKEN
    """
    if (version is None) != vendors:
        raise ToolError("give either VERSION or --vendors")
    found = client.leave_target(thing_id) if version is None else client.choose_target(thing_id, version)
    whose = "one's own choice" if found.target_by_owner else "the vendor's"
    print_item(found, as_json, {"thing": found.name, "target": f"{cell(found.target_version)} ({whose})"})
