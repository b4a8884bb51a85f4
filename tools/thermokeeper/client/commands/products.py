"""Commands of a vendor: products."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from thermokeeper.client.commands.keys import key
from thermokeeper.client.commands.support import (
    FILE,
    force_option,
    print_item,
    print_list,
    vendor_call,
)
from thermokeeper.errors import ToolError
from thermokeeper.groups import Group

if TYPE_CHECKING:
    from thermokeeper.client.calls import VendorClient

_FLASH_SIZES = ("4MiB", "8MiB", "16MiB")


@click.group(cls=Group)
def product() -> None:
    """Products: a name for people, a default template, and serial numbers."""


@product.command("create")
@click.argument("code")
@click.option("--name", required=True, help="For people; things get names like `NAME 2`.")
@click.option("--template", "of", required=True, help="Default template, by name or id.")
@click.option("--proof-required", is_flag=True, help="Devices without a secret can't activate.")
@click.option("--claim-code-required", is_flag=True, help="Devices without a claim code can't be claimed.")
@click.option("--key", "keys", type=FILE, multiple=True, help="Public key of its releases (*.pub.pem); repeatable.")
@click.option("--flash-size", type=click.Choice(_FLASH_SIZES), help="Whose flash map its boards have.")
@force_option
@vendor_call
def product_create(
    client: "VendorClient",
    code: str,
    name: str,
    of: str,
    proof_required: bool,
    claim_code_required: bool,
    keys: tuple[Path, ...],
    flash_size: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Create the product CODE: what its boards' factory records and releases call it.

    \b
    Example:
      thermokeeper product create thermometer --name Thermometer --template Thermometer --key key.pub.pem
    """
    made = client.create_product(
        code,
        name,
        of,
        proof_required=proof_required,
        claim_code_required=claim_code_required,
        flash_size=flash_size,
        keys=keys,
        force=force,
    )
    show_product(made, as_json)


@product.command("set")
@click.argument("code")
@click.option(
    "--proof-required/--no-proof-required", default=None, help="Whether devices without a secret can't activate."
)
@click.option(
    "--claim-code-required/--no-claim-code-required",
    default=None,
    help="Whether devices without a claim code can't be claimed.",
)
@click.option("--flash-size", type=click.Choice(_FLASH_SIZES), help="Whose flash map its boards have.")
@click.option("--no-flash-size", is_flag=True, help="Which flash map its boards have isn't known.")
@vendor_call
def product_set(
    client: "VendorClient",
    code: str,
    proof_required: bool | None,
    claim_code_required: bool | None,
    flash_size: str | None,
    no_flash_size: bool,
    as_json: bool,
) -> None:
    """Change the product CODE. A device with a secret has to prove itself in any case, a claim code is always asked.

    \b
    Example:
      thermokeeper product set thermometer --proof-required --claim-code-required
    """
    if flash_size and no_flash_size:
        raise ToolError("give either --flash-size or --no-flash-size, not both")
    wanted: dict[str, object] = {"proof_required": proof_required, "claim_code_required": claim_code_required}
    changes = {name: value for name, value in wanted.items() if value is not None}
    if flash_size or no_flash_size:
        changes["flash_size"] = flash_size
    if not changes:
        raise ToolError("nothing to set: see `thermokeeper product set --help`")
    show_product(client.change_product(code, **changes), as_json)


def show_product(found: Any, as_json: bool) -> None:
    lines: dict[str, object] = {
        "product": found.code,
        "name": found.name,
        "proof required": found.proof_required,
        "claim code required": found.claim_code_required,
        "flash size": found.flash_size,
        "keys": ", ".join(found.keys),
        "retired": found.retired,
        "id": found.id,
    }
    print_item(found, as_json, lines)


@product.command("list")
@click.option("--limit", type=click.IntRange(1), help="At most so many.")
@vendor_call
def product_list(client: "VendorClient", limit: int | None, as_json: bool) -> None:
    """List the products."""
    names = {} if as_json else {found.id: found.name for found in client.templates()}
    columns: dict[str, Any] = {
        "PRODUCT": lambda row: row.code,
        "NAME": lambda row: row.name,
        "TEMPLATE": lambda row: names.get(row.default_template),
        "ID": lambda row: row.id,
    }
    print_list(client.products(limit), as_json, columns)


product.add_command(key)
