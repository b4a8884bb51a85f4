"""Commands of a vendor: serial numbers."""

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from thermokeeper.client.commands.support import cell, force_option, print_item, print_json, print_list, vendor_call
from thermokeeper.errors import ToolError
from thermokeeper.groups import Group

if TYPE_CHECKING:
    from thermokeeper.client.calls import VendorClient

_AT_ONCE = 1000  # which the server takes, whatever they are


@click.group(cls=Group)
def serial() -> None:
    """Serial numbers: which devices there are, what each should run, and which are blocked."""


@serial.command("add")
@click.argument("numbers", nargs=-1, metavar="[SERIAL]...")
@click.option("--product", "of", required=True, help="Code of the product.")
@click.option("--from-file", type=click.File(encoding="utf-8"), help="File with one serial number a line (- is stdin).")
@click.option("--template", help="Template of their own, by name or id.")
@click.option("--target", metavar="VERSION", help="Target version of their own.")
@force_option
@vendor_call
def serial_add(
    client: "VendorClient",
    numbers: tuple[str, ...],
    of: str,
    from_file: Any,
    template: str | None,
    target: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Add serial numbers to a product: all of them or none; of more than 1,000, each 1,000 of them.

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
    if len(set(wanted)) < len(wanted):
        twice = next(number for number, times in Counter(wanted).items() if times > 1)
        raise ToolError(f"{twice} is in the list twice")
    added = 0
    for begin in range(0, len(wanted), _AT_ONCE):
        try:
            added += client.add_serials(of, wanted[begin : begin + _AT_ONCE], template, target, force=force)
        except ToolError as error:
            if not added:
                raise
            raise ToolError(f"{error}; the first {added} of {len(wanted)} are added, the others aren't") from None
    if as_json:
        print_json({"added": added})
    else:
        click.echo(f"added {added} serial number{'s' if added != 1 else ''} to {of}")


@serial.command("list")
@click.argument("of", metavar="PRODUCT")
@click.option("--status", type=click.Choice(["new", "active", "blocked", "retired"]), help="Only these.")
@click.option("--limit", type=click.IntRange(1), help="At most so many.")
@vendor_call
def serial_list(client: "VendorClient", of: str, status: str | None, limit: int | None, as_json: bool) -> None:
    """List the serial numbers of PRODUCT."""
    columns: dict[str, Any] = {
        "SERIAL": lambda row: row.serial_number,
        "STATUS": lambda row: row.status,
        "TARGET": lambda row: row.target_version,
        "THING": lambda row: row.thing,
    }
    print_list(client.serials(of, status, limit), as_json, columns)


@serial.command("show")
@click.argument("number", metavar="SERIAL")
@vendor_call
def serial_show(client: "VendorClient", number: str, as_json: bool) -> None:
    """Show one serial number."""
    _show_serial(client.serial(number), as_json)


@serial.command("set")
@click.argument("number", metavar="SERIAL")
@click.option("--template", help="A template of its own, by name or id.")
@click.option("--no-template", is_flag=True, help="The product's default template again.")
@click.option("--target", metavar="VERSION", help="A target version of its own; may be a prototype.")
@click.option("--no-target", is_flag=True, help="What its template has published again.")
@click.option("--no-proof", is_flag=True, help="Its device needn't prove itself any more: its secret is lost.")
@click.option("--claim-code", metavar="CODE", help="What a claim has to give; only made into a hash it is sent.")
@click.option("--no-claim-code", is_flag=True, help="A claim takes no code any more.")
@force_option
@vendor_call
def serial_set(
    client: "VendorClient",
    number: str,
    template: str | None,
    no_template: bool,
    target: str | None,
    no_target: bool,
    no_proof: bool,
    claim_code: str | None,
    no_claim_code: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Give a serial number a template or a target version of its own, or another claim code.

    \b
    Example: one device tries a prototype
      thermokeeper serial set THERM00000000000001 --target Thermometer/3-test

    \b
    Example: its label has a claim code from now on
      thermokeeper serial set THERM00000000000001 --claim-code 7K3Q-X9FD
    """
    if (template and no_template) or (target and no_target) or (claim_code and no_claim_code):
        raise ToolError("give either a value or the option that takes it away, not both")
    changes: dict[str, str | None] = {}
    if template or no_template:
        changes["template"] = template
    if target or no_target:
        changes["target_version"] = target
    if no_proof:
        changes["proof_key"] = None
    if claim_code or no_claim_code:
        changes["claim_hash"] = _claim_hash(claim_code, number) if claim_code else None
    if not changes:
        raise ToolError("nothing to set: see `thermokeeper serial set --help`")
    _show_serial(client.change_serial(number, force=force, **changes), as_json)


@serial.command("block")
@click.argument("number", metavar="SERIAL")
@vendor_call
def serial_block(client: "VendorClient", number: str, as_json: bool) -> None:
    """Block a serial number: its device is refused everything, and can't activate."""
    _show_serial(client.block(number), as_json)


@serial.command("unblock")
@click.argument("number", metavar="SERIAL")
@vendor_call
def serial_unblock(client: "VendorClient", number: str, as_json: bool) -> None:
    """Unblock a serial number."""
    _show_serial(client.unblock(number), as_json)


def _claim_hash(code: str, number: str) -> str:
    import re

    from thermokeeper.contract import claim_codes
    from thermokeeper.contract.fields import ASKED_BY

    if not re.fullmatch(claim_codes.CODE_PATTERN[1:-1], claim_codes.plain(code)):
        raise ToolError(f"--claim-code: has to be {ASKED_BY[claim_codes.CODE_PATTERN]}")
    return claim_codes.hashed(code, number)


def _show_serial(found: Any, as_json: bool) -> None:
    target = cell(found.target_version)
    whose = "its own" if found.own_target else "what its template has published"
    if found.target_by_owner:
        whose = "its owner's choice"
    lines: dict[str, object] = {
        "serial": found.serial_number,
        "product": found.product,
        "status": found.status,
        "template": f"{found.template} ({'its own' if found.own_template else 'the default of its product'})",
        "target": f"{target} ({whose})",
        "has to prove itself": found.proof_key_id is not None,
        "has a claim code": found.claim_code_id is not None,
        "thing": found.thing,
    }
    print_item(found, as_json, lines)
