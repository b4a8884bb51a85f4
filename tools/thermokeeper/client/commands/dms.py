"""Commands for devices that provision themselves with a token: the vendor's `dms`, and what an owner does for them."""

from typing import TYPE_CHECKING, Any

import click

from thermokeeper.client.commands.fleet import owner
from thermokeeper.client.commands.support import owner_call, print_item, print_list, vendor_call, when
from thermokeeper.errors import ToolError
from thermokeeper.groups import Group

if TYPE_CHECKING:
    from thermokeeper.client.calls import OwnerClient, VendorClient


@click.group(cls=Group)
def dms() -> None:
    """Devices that provision themselves: their tokens and their state.

    \b
    Example, from a token to a device that is one of a product:
      thermokeeper dms token create --serial THERM00000000000001     (its device is flashed with the token)
      thermokeeper owner create "Jane Doe"
      thermokeeper owner access grant "Jane Doe" thermometer
      thermokeeper owner claim-device THERM00000000000001 --owner-token TOKEN
    """


# -- tokens ------------------------------------------------------------------------------------------------------------


@dms.group("token")
def token() -> None:
    """Provisioning tokens: what a device shows once to be given its credential."""


@token.command("create")
@click.option("--name", help="For people.")
@click.option("--serial", metavar="SERIAL", help="For the device with this serial number only.")
@click.option("--uuid", metavar="UUID", help="For the device with this uuid only.")
@click.option("--uses", type=click.IntRange(1), default=1, show_default=True, help="How many devices may use it.")
@click.option("--days", type=click.IntRange(1, 36500), help="It expires after so many days.  [default: never]")
@vendor_call
def token_create(
    client: "VendorClient",
    name: str | None,
    serial: str | None,
    uuid: str | None,
    uses: int,
    days: int | None,
    as_json: bool,
) -> None:
    """Create a provisioning token and print it, this once.

    A device that has acknowledged before, and was reset, needs one with its serial number or uuid.

    \b
    Example: one for a single device, and one for a batch of 500 that must be provisioned within a month
      thermokeeper dms token create --serial THERM00000000000001
      thermokeeper dms token create --uses 500 --days 30 --name "Batch of November"
    """
    from datetime import timedelta

    from thermokeeper.contract.times import now

    if serial and uuid:
        raise ToolError("give a serial number or a uuid, not both")
    if (serial or uuid) and uses != 1:
        raise ToolError("a token for one device has one use: drop --uses, or --serial and --uuid")
    expires = now() + timedelta(days=days) if days else None
    made = client.create_dms_token(name, uuid=uuid_named(serial) if serial else uuid, uses=uses, expires=expires)
    lines: dict[str, object] = {"token": made.token, "id": made.id, "for": made.uuid or f"{made.uses} device(s)"}
    print_item(made, as_json, {**lines, "expires": when(made.expires)})


@token.command("list")
@click.option("--limit", type=click.IntRange(1), help="At most so many.")
@vendor_call
def token_list(client: "VendorClient", limit: int | None, as_json: bool) -> None:
    """List the provisioning tokens, oldest first; they themselves are shown nowhere."""
    columns: dict[str, Any] = {
        "ID": lambda row: row.id,
        "NAME": lambda row: row.name,
        "STATE": lambda row: row.state,
        "FOR": lambda row: row.uuid or "any",
        "USES": lambda row: f"{row.taken}/{row.uses}",
        "ACKNOWLEDGED": lambda row: row.acknowledged,
        "EXPIRES": lambda row: when(row.expires),
    }
    print_list(client.dms_tokens(limit), as_json, columns)


@token.command("revoke")
@click.argument("token_id", metavar="ID")
@vendor_call
def token_revoke(client: "VendorClient", token_id: str, as_json: bool) -> None:
    """Revoke the provisioning token with the id ID.

    Devices that have acknowledged with it keep their credentials; no other gets, or keeps, one by it.
    """
    found = client.revoke_dms_token(token_id)
    print_item(found, as_json, {"token": found.id, "state": found.state, "acknowledged": found.acknowledged})


# -- devices -----------------------------------------------------------------------------------------------------------


@dms.group("device")
def device() -> None:
    """Devices by their uuid. A device is named by it, or by the serial number that it makes it from."""


@device.command("list")
@click.option("--limit", type=click.IntRange(1), help="At most so many.")
@vendor_call
def device_list(client: "VendorClient", limit: int | None, as_json: bool) -> None:
    """List the devices that were provisioned, or that have a token of their own."""
    columns: dict[str, Any] = {
        "UUID": lambda row: row.uuid,
        "STATE": lambda row: row.state,
        "OWNER": lambda row: row.owner,
        "PRODUCT": lambda row: row.product,
        "LAST SEEN": lambda row: when(row.last_seen),
        "THING": lambda row: row.thing,
    }
    print_list(client.dms_devices(limit), as_json, columns)


@device.command("show")
@click.argument("which", metavar="DEVICE")
@vendor_call
def device_show(client: "VendorClient", which: str, as_json: bool) -> None:
    """Show how far DEVICE (a uuid or a serial number) is.

    \b
    Example:
      thermokeeper dms device show THERM00000000000001
    """
    found = client.dms_device(uuid_named(which))
    lines: dict[str, object] = {
        "device": found.uuid,
        "state": found.state,
        "offered": "a credential that is not acknowledged yet" if found.offered else None,
        "acknowledged": when(found.acknowledged),
        "token": found.token,
        "owner": found.owner,
        "product": found.product,
        "thing": found.thing,
        "last seen": when(found.last_seen),
    }
    print_item(found, as_json, lines)


@dms.command("uuid")
@click.argument("serial", metavar="SERIAL")
def uuid_of_serial(serial: str) -> None:
    """Print the uuid that the device with the serial number SERIAL makes from it.

    \b
    Example:
      thermokeeper dms uuid THERM00000000000001
    """
    click.echo(uuid_named(serial))


def uuid_named(which: str) -> str:
    """What is a uuid stays so; what is a serial number becomes its uuid."""
    import re

    from thermokeeper.contract.dms_schemas import UUID_PATTERN
    from thermokeeper.contract.dms_uuid import uuid_of
    from thermokeeper.contract.fields import is_serial_number

    if re.fullmatch(UUID_PATTERN[1:-1], which):
        return which
    if not is_serial_number(which):
        raise ToolError(f"{which!r} is neither a uuid nor a serial number")
    return uuid_of(which)


# -- owners ------------------------------------------------------------------------------------------------------------


@owner.group("access")
def access() -> None:
    """To which products an owner's devices may be activated. An owner is named by name or id."""


@access.command("grant")
@click.argument("name", metavar="OWNER")
@click.argument("product", metavar="PRODUCT")
@vendor_call
def access_grant(client: "VendorClient", name: str, product: str, as_json: bool) -> None:
    """Let devices that OWNER has claimed be activated to PRODUCT.

    \b
    Example:
      thermokeeper owner access grant "Jane Doe" thermometer
    """
    _print_access(client.grant_access(name, product), as_json)


@access.command("withdraw")
@click.argument("name", metavar="OWNER")
@click.argument("product", metavar="PRODUCT")
@vendor_call
def access_withdraw(client: "VendorClient", name: str, product: str, as_json: bool) -> None:
    """Let no more devices of OWNER be activated to PRODUCT; those that are stay so."""
    _print_access(client.withdraw_access(name, product), as_json)


@access.command("list")
@click.argument("name", metavar="OWNER")
@vendor_call
def access_list(client: "VendorClient", name: str, as_json: bool) -> None:
    """List the products that OWNER has access to."""
    _print_access(client.access(name), as_json)


@owner.command("claim-device")
@click.argument("which", metavar="DEVICE")
@owner_call
def owner_claim_device(client: "OwnerClient", which: str, as_json: bool) -> None:
    """As an owner, claim DEVICE (a uuid or a serial number), which provisions itself with a token.

    \b
    Example:
      thermokeeper owner claim-device THERM00000000000001 --owner-token TOKEN
    """
    found = client.claim_device(uuid_named(which))
    print_item(found, as_json, {"device": found.uuid, "state": found.state, "product": found.product})


@owner.command("devices")
@owner_call
def owner_devices(client: "OwnerClient", as_json: bool) -> None:
    """As an owner, list one's devices that provision themselves."""
    columns: dict[str, Any] = {
        "UUID": lambda row: row.uuid,
        "STATE": lambda row: row.state,
        "PRODUCT": lambda row: row.product,
        "LAST SEEN": lambda row: when(row.last_seen),
        "THING": lambda row: row.thing,
    }
    print_list(client.devices(), as_json, columns)


@owner.command("products")
@owner_call
def owner_products(client: "OwnerClient", as_json: bool) -> None:
    """As an owner, list the products that one has access to."""
    _print_access(client.products(), as_json)


def _print_access(found: list[Any], as_json: bool) -> None:
    columns: dict[str, Any] = {
        "PRODUCT": lambda row: row.product,
        "NAME": lambda row: row.name,
        "GRANTED": lambda row: when(row.granted),
    }
    print_list(found, as_json, columns)
