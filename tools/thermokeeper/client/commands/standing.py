"""Commands that say whose a thing is and what comes to its end; in the groups of the things that they are about."""

from typing import TYPE_CHECKING, Any

import click

from thermokeeper.client.commands.dms import device, uuid_named
from thermokeeper.client.commands.fleet import owner, thing
from thermokeeper.client.commands.products import product, show_product
from thermokeeper.client.commands.serials import serial
from thermokeeper.client.commands.support import owner_call, print_item, print_json, print_list, vendor_call, when
from thermokeeper.errors import ToolError

if TYPE_CHECKING:
    from thermokeeper.client.calls import OwnerClient, VendorClient


def _print(as_json: bool, **told: object) -> None:
    """What was done, as `name  value` or JSON."""
    if as_json:
        print_json(told)
    else:
        for name, value in told.items():
            click.echo(f"{name}  {value}")


# -- things ------------------------------------------------------------------------------------------------------------


@thing.command("hand-over")
@click.argument("which", metavar="THING")
@click.argument("name", metavar="OWNER")
@vendor_call
def thing_hand_over(client: "VendorClient", which: str, name: str, as_json: bool) -> None:
    """Give THING to OWNER (a name or id), whoever has it. He sees what it measures from now on.

    \b
    Example:
      thermokeeper thing hand-over THERM00000000000001 "Jane Doe"
    """
    client.give_thing(which, name)
    _print(as_json, thing=which, owner=name)


@thing.command("release")
@click.argument("which", metavar="THING")
@vendor_call
def thing_release(client: "VendorClient", which: str, as_json: bool) -> None:
    """Take the owner off THING: who has its claim code can claim it next.

    \b
    Example:
      thermokeeper thing release THERM00000000000001
    """
    client.release_thing(which)
    _print(as_json, released=which)


@thing.command("erase")
@click.argument("which", metavar="THING")
@vendor_call
def thing_erase(client: "VendorClient", which: str, as_json: bool) -> None:
    """Delete what THING has told, its readings and properties; it stays, and goes on.

    \b
    Example:
      thermokeeper thing erase THERM00000000000001
    """
    _print(as_json, erased=which, datapoints=client.erase_thing(which))


@thing.command("delete")
@click.argument("which", metavar="THING")
@vendor_call
def thing_delete(client: "VendorClient", which: str, as_json: bool) -> None:
    """Delete THING with all that it has told; refused while it has an owner.

    Its device gets a new one with its next activation, unless its serial number is blocked or retired.

    \b
    Example:
      thermokeeper thing delete THERM00000000000001
    """
    _print(as_json, deleted=which, datapoints=client.delete_thing(which))


@device.command("release")
@click.argument("which", metavar="DEVICE")
@vendor_call
def device_release(client: "VendorClient", which: str, as_json: bool) -> None:
    """Take the owner off DEVICE (a uuid or a serial number), and off its thing.

    \b
    Example:
      thermokeeper dms device release THERM00000000000001
    """
    client.release_dms_device(uuid_named(which))
    _print(as_json, released=which)


@serial.command("retire")
@click.argument("numbers", nargs=-1, required=True, metavar="SERIAL...")
@vendor_call
def serial_retire(client: "VendorClient", numbers: tuple[str, ...], as_json: bool) -> None:
    """Retire serial numbers for ever: their devices can't activate, their keys are dropped.

    Refused for one whose thing has an owner; those before it are retired by then. May be repeated.

    \b
    Example:
      thermokeeper serial retire THERM00000000000001
    """
    retired: list[Any] = []
    for number in numbers:
        try:
            retired.append(client.retire_serial(number))
        except ToolError as error:
            raise ToolError(f"{number}: {error}; {len(retired)} of {len(numbers)} are retired") from None
    print_list(retired, as_json, {"SERIAL": lambda row: row.serial_number, "STATUS": lambda row: row.status})


@product.command("retire")
@click.argument("code")
@vendor_call
def product_retire(client: "VendorClient", code: str, as_json: bool) -> None:
    """Retire the product CODE for ever, once all its serial numbers are.

    \b
    Example:
      thermokeeper product retire thermometer
    """
    show_product(client.retire_product(code), as_json)


# -- owners: what the vendor does --------------------------------------------------------------------------------------


@owner.group("token")
def token() -> None:
    """Owners' tokens. An owner is named by name or id."""


@token.command("renew")
@click.argument("name", metavar="OWNER")
@vendor_call
def token_renew(client: "VendorClient", name: str, as_json: bool) -> None:
    """Make OWNER another token and print it, this once; the old one opens nothing any more.

    \b
    Example:
      thermokeeper owner token renew "Jane Doe"
    """
    made = client.renew_token(name)
    print_item(made, as_json, {"owner": made.name, "id": made.id, "token": made.token})


@token.command("revoke")
@click.argument("name", metavar="OWNER")
@vendor_call
def token_revoke(client: "VendorClient", name: str, as_json: bool) -> None:
    """Let OWNER's token open nothing any more. He keeps his things."""
    client.revoke_token(name)
    _print(as_json, revoked=name)


@owner.command("delete")
@click.argument("name", metavar="OWNER")
@vendor_call
def owner_delete(client: "VendorClient", name: str, as_json: bool) -> None:
    """Delete the account OWNER (a name or id); refused while it has things.

    \b
    Example:
      thermokeeper owner delete "Jane Doe"
    """
    client.delete_owner(name)
    _print(as_json, deleted=name)


# -- owners: what they do themselves -----------------------------------------------------------------------------------


@owner.command("hand-over")
@click.argument("thing_id", metavar="THING")
@click.option("--withdraw", is_flag=True, help="Take the code back: the thing stays one's own.")
@owner_call
def owner_hand_over(client: "OwnerClient", thing_id: str, withdraw: bool, as_json: bool) -> None:
    """As an owner, print the code with which another claims the thing with the id THING, once, within a day.

    \b
    Example: and what the other one then types
      thermokeeper owner hand-over d5673e80218f11e3a1c46c626dd90e00 --owner-token TOKEN
      thermokeeper owner claim THERM00000000000001 --code 7K3Q-X9FD --owner-token TOKEN
    """
    if withdraw:
        client.keep(thing_id)
        _print(as_json, kept=thing_id)
        return
    made = client.hand_over(thing_id)
    print_item(made, as_json, {"code": made.code, "good until": when(made.expires)})


@owner.command("release")
@click.argument("thing_id", metavar="THING")
@owner_call
def owner_release(client: "OwnerClient", thing_id: str, as_json: bool) -> None:
    """As an owner, give the thing with the id THING up: who has its claim code can claim it next.

    \b
    Example:
      thermokeeper owner release d5673e80218f11e3a1c46c626dd90e00 --owner-token TOKEN
    """
    client.release(thing_id)
    _print(as_json, released=thing_id)


@owner.command("release-device")
@click.argument("which", metavar="DEVICE")
@owner_call
def owner_release_device(client: "OwnerClient", which: str, as_json: bool) -> None:
    """As an owner, give DEVICE (a uuid or a serial number), which provisions itself, up."""
    client.release_device(uuid_named(which))
    _print(as_json, released=which)


@owner.command("erase")
@click.argument("thing_id", metavar="THING")
@owner_call
def owner_erase(client: "OwnerClient", thing_id: str, as_json: bool) -> None:
    """As an owner, delete all readings of the thing with the id THING since it is one's own.

    \b
    Example:
      thermokeeper owner erase d5673e80218f11e3a1c46c626dd90e00 --owner-token TOKEN
    """
    _print(as_json, erased=thing_id, datapoints=client.erase(thing_id))


@owner.command("renew-token")
@owner_call
def owner_renew_token(client: "OwnerClient", as_json: bool) -> None:
    """As an owner, make oneself another token and print it, this once; the old one opens nothing any more."""
    _print(as_json, token=client.renew_token())
