"""Commands of a vendor: the public keys of a product, with which its releases have to be signed."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from thermokeeper.client.commands.support import FILE, print_item, print_json, print_list, vendor_call, when
from thermokeeper.groups import Group

if TYPE_CHECKING:
    from thermokeeper.client.calls import VendorClient


@click.group(cls=Group)
def key() -> None:
    """Public keys of a product: with one of them its releases have to be signed."""


@key.command("add")
@click.argument("code")
@click.argument("file", type=FILE)
@click.option("--name", default="", help="For people.")
@vendor_call
def key_add(client: "VendorClient", code: str, file: Path, name: str, as_json: bool) -> None:
    """Add the public key in FILE, as `release keygen` wrote it, to the product CODE.

    \b
    Example:
      thermokeeper product key add thermometer key.pub.pem
    """
    added = client.add_key(code, file, name)
    print_item(added, as_json, {"product": code, "key": added.id, "added": when(added.added)})


@key.command("list")
@click.argument("code")
@vendor_call
def key_list(client: "VendorClient", code: str, as_json: bool) -> None:
    """List the public keys of the product CODE."""
    columns: dict[str, Any] = {
        "KEY": lambda row: row.id,
        "NAME": lambda row: row.name,
        "ADDED": lambda row: when(row.added),
    }
    print_list(client.keys(code), as_json, columns)


@key.command("remove")
@click.argument("code")
@click.argument("key_id", metavar="KEY")
@vendor_call
def key_remove(client: "VendorClient", code: str, key_id: str, as_json: bool) -> None:
    """Remove KEY (its id, as `product key list` has it) from the product CODE. What is published stays so."""
    client.remove_key(code, key_id)
    if as_json:
        print_json({"removed": key_id})
    else:
        click.echo(f"removed {key_id} from {code}")
