"""Commands for what a thing measured, the same for the vendor (`thing`) and an owner (`owner`)."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from thermokeeper.client.commands.fleet import owner, thing
from thermokeeper.client.commands.support import FILE, MOMENT, owner_call, print_list, vendor_call, when

if TYPE_CHECKING:
    from thermokeeper.client.reading_calls import ReadingCalls

Function = Callable[..., Any]


def _which(function: Function) -> Function:
    """The thing, and what of it."""
    for add in (
        click.option("--to", "until", type=MOMENT, help="Only what was measured before this time."),
        click.option("--from", "since", type=MOMENT, help="Only what was measured from then on, such as 2026-11-21."),
        click.option("--event", help="Only of this event, such as temperature."),
        click.argument("which", metavar="THING"),
    ):
        function = add(function)
    return function


def _limited(function: Function) -> Function:
    help_ = "At most so many."
    return click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help=help_)(function)


def _readings(client: "ReadingCalls", which: str, limit: int, as_json: bool, **filters: Any) -> None:
    columns: dict[str, Any] = {
        "AT": lambda row: when(row.at),
        "EVENT": lambda row: row.event,
        "VALUE": lambda row: f"{row.value:g}",
        "ARRIVED": lambda row: when(row.arrived),
    }
    print_list(client.datapoints(which, limit=limit, **filters), as_json, columns)


def _hours(client: "ReadingCalls", which: str, limit: int, as_json: bool, **filters: Any) -> None:
    columns: dict[str, Any] = {
        "HOUR": lambda row: when(row.start),
        "EVENT": lambda row: row.event,
        "MEAN": lambda row: f"{row.mean:g}",
        "MIN": lambda row: f"{row.min:g}",
        "MAX": lambda row: f"{row.max:g}",
        "COUNT": lambda row: row.count,
    }
    print_list(client.hours(which, limit=limit, **filters), as_json, columns)


def _export(client: "ReadingCalls", which: str, out: Path | None, **filters: Any) -> None:
    from thermokeeper.files import write_blocks

    blocks = client.datapoints_csv(which, **filters)
    if out is not None:
        click.echo(f"{out}: {write_blocks(out, blocks):,} bytes")
        return
    for block in blocks:
        click.echo(block, nl=False)


def _out(function: Function) -> Function:
    return click.option("--out", type=FILE, help="File to write.  [default: standard output]")(function)


@thing.command("readings")
@_which
@_limited
@vendor_call
def thing_readings(client: "ReadingCalls", which: str, **options: Any) -> None:
    """List the readings of THING, last arrived first; with --from or --to last measured first.

    \b
    Example:
      thermokeeper thing readings THERM00000000000001 --from 2026-11-21 --limit 100
    """
    _readings(client, which, **options)


@thing.command("hours")
@_which
@_limited
@vendor_call
def thing_hours(client: "ReadingCalls", which: str, **options: Any) -> None:
    """List what each hour of THING's readings came to, last first; that stays when the readings go."""
    _hours(client, which, **options)


@thing.command("export")
@_which
@_out
@functools.partial(vendor_call, json=False)
def thing_export(client: "ReadingCalls", which: str, out: Path | None, **filters: Any) -> None:
    """Write all readings of THING as CSV, first measured first.

    \b
    Example:
      thermokeeper thing export THERM00000000000001 --event temperature --from 2026-11-01 --out november.csv
    """
    _export(client, which, out, **filters)


@owner.command("readings")
@_which
@_limited
@owner_call
def owner_readings(client: "ReadingCalls", which: str, **options: Any) -> None:
    """As an owner, list the readings of the thing with the id THING, last arrived first."""
    _readings(client, which, **options)


@owner.command("hours")
@_which
@_limited
@owner_call
def owner_hours(client: "ReadingCalls", which: str, **options: Any) -> None:
    """As an owner, list what each hour of the readings of the thing with the id THING came to, last first."""
    _hours(client, which, **options)


@owner.command("export")
@_which
@_out
@functools.partial(owner_call, json=False)
def owner_export(client: "ReadingCalls", which: str, out: Path | None, **filters: Any) -> None:
    """As an owner, write all readings of the thing with the id THING as CSV, first measured first."""
    _export(client, which, out, **filters)
