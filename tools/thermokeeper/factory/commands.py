"""`thermokeeper factory`: new, register, run, status, labels, scrap, forget."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from thermokeeper.client.commands.support import print_json, vendor_call
from thermokeeper.errors import ToolError
from thermokeeper.factory.units import STEPS, Unit
from thermokeeper.files import PROJECT, write_bytes
from thermokeeper.formats.partitions import FLASH_SIZES
from thermokeeper.groups import Group

if TYPE_CHECKING:
    from thermokeeper.client.calls import VendorClient
    from thermokeeper.factory.journal import Journal

_PATH = click.Path(path_type=Path)
_BATCH = click.argument("batch", metavar="BATCH")


def _default_folder() -> Path:
    import platformdirs

    return platformdirs.user_data_path("thermokeeper") / "factory"


_FOLDER = click.option(
    "--folder",
    type=_PATH,
    envvar="THERMOKEEPER_FACTORY",
    show_envvar=True,
    default=_default_folder,
    help="The factory's folder, with its journal and what its batches are made of.  [the user's data folder]",
)


@click.group("factory", cls=Group)
def factory() -> None:
    """Make batches of boards: serial numbers, flash, self-test, labels.

    A batch is made once, registered with the server, and run until each of its serial numbers has its board. Whatever
    is interrupted is simply run again: a journal knows which board has which serial number, and how far it is.

    \b
      thermokeeper factory new first --pattern THERM{:014d} --count 20 --firmware ESP32_GENERIC-OTA.bin \\
          --release thermometer-1.0.0.tkr --server https://things.example.com \\
          --claim-url https://things.example.com/claim/{serial}
      thermokeeper factory register first
      thermokeeper factory run first --port /dev/ttyUSB0 --port /dev/ttyUSB1
    """


@factory.command("new")
@_BATCH
@click.option("--pattern", help="Form of the serial numbers, like THERM{:014d}.")
@click.option("--count", type=click.IntRange(1, 100_000), help="How many, with --pattern.")
@click.option("--start", type=click.IntRange(0), help="Number of the first.  [the next after those given]")
@click.option("--csv", type=_PATH, help="CSV in place of a pattern: serial, token, wifi, settings.")
@click.option("--firmware", required=True, type=_PATH, help="MicroPython's whole firmware file.")
@click.option("--release", required=True, type=_PATH, help="Signed release file: goes into slot 0.")
@click.option("--trust", type=_PATH, multiple=True, help="Public key that must have signed the release; repeat it.")
@click.option("--server", required=True, help="Where the boards activate: https://HOST[:PORT].")
@click.option("--service", default="gadgetkeeper", show_default=True, help="The service that the server speaks.")
@click.option("--plain-http/--no-plain-http", default=False, help="Allow a server without TLS (http://).")
@click.option("--ca", type=_PATH, help="Certificate of the CA to trust for https (PEM); without it the release's is.")
@click.option("--product", help="Product code.  [the release's]")
@click.option("--wifi", metavar="SSID[:KEY]", help="A network for boards that the CSV gives none.")
@click.option("--token-file", type=_PATH, help="File with a provisioning token for boards that the CSV gives none.")
@click.option("--set", "members", multiple=True, metavar="NAME=VALUE", help="A setting of the product; repeat it.")
@click.option(
    "--flash-size", type=click.Choice(list(FLASH_SIZES)), default="4MiB", show_default=True, help="Of a board."
)
@click.option("--vfs", type=_PATH, default=PROJECT, help="Folder with boot.py and main.py.  [the project's]")
@click.option("--any-bootloader", is_flag=True, help="Take one that can't roll back: the simulator has its own.")
@click.option(
    "--claim-url",
    required=True,
    help="What a label's QR code says; {serial} and {code} stand for serial number and claim code.",
)
@click.option("--title", help="First line of a label.  [the product]")
@click.option("--expect", default=r"^tk: reading: ", show_default=True, help="Pattern of the line a good board says.")
@_FOLDER
def new(batch: str, folder: Path, any_bootloader: bool, **options: Any) -> None:
    """Make the batch BATCH: its serial numbers, each with a secret of its own. All of it is made, or nothing.

    No serial number is ever given twice, whatever the batch. What the boards are made of is copied into the factory's
    folder. Secrets are only there, and in the boards.
    """
    from thermokeeper.factory.batch import Order, make
    from thermokeeper.image.builder import check_rollback
    from thermokeeper.release.firmware import read_firmware

    firmware = read_firmware(options["firmware"])
    if firmware.bootloader and not any_bootloader and (warning := check_rollback(firmware)):
        click.echo(f"warning: {warning}", err=True)
    made = make(folder, batch, Order(**options))
    click.echo(f"{batch}: {len(made)} serial numbers, {made[0].serial} to {made[-1].serial}")
    click.echo(f"next: thermokeeper factory register {batch}")


@factory.command("register")
@_BATCH
@_FOLDER
@vendor_call
def register_batch(client: "VendorClient", batch: str, folder: Path, as_json: bool) -> None:
    """Give the server the serial numbers of BATCH, each with its key for proofs and a hash of its claim code.

    May be repeated: what is there already stays. For the service gecko_dms it gets each board its provisioning token.
    """
    from thermokeeper.factory.registration import register

    count = register(_journal(folder), batch, client)
    if as_json:
        print_json({"registered": count})
    else:
        click.echo(f"{batch}: {count} serial number{'' if count == 1 else 's'} registered with {client.url}")


@factory.command("run")
@_BATCH
@click.option("--port", "names", multiple=True, required=True, help="Port with a board on it; repeat it.")
@click.option("--baud", type=click.IntRange(9600), default=460_800, show_default=True, help="While flashing.")
@click.option("--limit", "limit_s", type=click.IntRange(1), default=60, show_default=True, help="Of the self-test, s.")
@click.option("--labels", type=_PATH, help="Folder for the labels.  [labels/BATCH in the factory's folder]")
@click.option("--unregistered-ok", is_flag=True, help="Make boards that the server doesn't know yet.")
@click.option("--no-stub", is_flag=True, help="Let esptool work without its program in the chip's RAM.")
@_FOLDER
def run(
    batch: str,
    names: tuple[str, ...],
    baud: int,
    limit_s: int,
    labels: Path | None,
    unregistered_ok: bool,
    no_stub: bool,
    folder: Path,
) -> None:
    """Make the boards on all --port at once: flash, read the record back, self-test, label.

    A board gets the batch's next serial number, or goes on with the one that it has. Then connect the next boards, and
    run it again. The exit status is 1 if any board failed; what failed is tried again with the next run.
    """
    from thermokeeper.factory import line
    from thermokeeper.factory.ports import BoardPort, SerialPort
    from thermokeeper.factory.stock import Stock

    journal = _journal(folder)
    plan = journal.plan(batch)
    if len(set(names)) < len(names):
        raise ToolError("a port is given twice")
    if not unregistered_ok and any("registered" not in steps for steps in journal.steps_of(batch).values()):
        raise ToolError(
            f"not all of {batch} is registered: `thermokeeper factory register {batch}` (or --unregistered-ok)"
        )
    stock = Stock(folder / "batches" / batch, plan)
    ports: list[BoardPort] = [SerialPort(name, baud, ("--no-stub",) if no_stub else ()) for name in names]
    made = line.Line(journal, batch, stock, labels or folder / "labels" / batch, click.echo, limit_s)
    if failed := line.run(made, ports, folder, click.echo):
        raise ToolError(f"{failed} of {len(ports)} boards failed; see `thermokeeper factory status {batch}`")


@factory.command("status")
@click.argument("batch", metavar="[BATCH]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@_FOLDER
def status(batch: str | None, as_json: bool, folder: Path) -> None:
    """List the batches, or how far each serial number of BATCH is. Secrets are never shown."""
    journal = _journal(folder)
    if batch is None:
        found = {name: _counts(journal, name) for name in journal.batches()}
        if as_json:
            print_json(found)
            return
        for name, counts in found.items():
            click.echo(f"{name}  " + ", ".join(f"{count} {step}" for step, count in counts.items()))
        if not found:
            click.echo("(none)")
        return
    journal.plan(batch)
    steps, units = journal.steps_of(batch), journal.units(batch)
    troubles = {unit.serial: journal.last_trouble(unit.serial) for unit in units}
    if as_json:
        print_json(
            [
                {
                    "serial": unit.serial,
                    "mac": unit.mac,
                    "steps": steps[unit.serial],
                    "scrapped": unit.scrapped,
                    "trouble": troubles[unit.serial],
                }
                for unit in units
            ]
        )
        return
    for unit in units:
        cells = (unit.serial, unit.mac or "-", _state(unit, steps[unit.serial]), troubles[unit.serial])
        click.echo("  ".join(cell for cell in cells if cell))


@factory.command("labels")
@_BATCH
@click.option("--out", required=True, type=_PATH, help="PDF with a page for each label.")
@click.option("--all", "every", is_flag=True, help="Of boards that aren't tested yet, too.")
@_FOLDER
def labels_of(batch: str, out: Path, every: bool, folder: Path) -> None:
    """Write the labels of the tested boards of BATCH into one PDF, once more if need be."""
    from thermokeeper.factory import label

    journal = _journal(folder)
    plan, steps = journal.plan(batch), journal.steps_of(batch)
    units = [unit for unit in journal.units(batch) if not unit.scrapped and (every or "tested" in steps[unit.serial])]
    if not units:
        raise ToolError(f"no board of {batch} is tested yet; --all makes all labels")
    made = [label.label_of(plan, unit) for unit in units]
    write_bytes(out, label.pdf(made))
    click.echo(f"{out}: {len(made)} label{'' if len(made) == 1 else 's'}, {label.WIDTH_MM} x {label.HEIGHT_MM} mm")


@factory.command("scrap")
@click.argument("serial", metavar="SERIAL")
@click.option("--reason", required=True, help="For the journal.")
@_FOLDER
def scrap(serial: str, reason: str, folder: Path) -> None:
    """Give up SERIAL: no board will ever get it, and the board that had it may get another."""
    _journal(folder).scrap(serial, reason)
    click.echo(f"{serial} is scrapped; on the server: thermokeeper serial retire {serial}")


@factory.command("forget")
@_BATCH
@_FOLDER
def forget(batch: str, folder: Path) -> None:
    """Erase the secrets of BATCH once all its boards are made: none of them can then be written again.

    Their claim codes are erased, too: no label can be printed again. Its serial numbers, and which board has which,
    stay in the journal.
    """
    journal = _journal(folder)
    journal.plan(batch)
    journal.forget(batch)
    click.echo(f"{batch}: the secrets are erased; the boards have them")


def _journal(folder: Path) -> "Journal":
    from thermokeeper.factory.journal import FILE, Journal

    if not (folder / FILE).exists():
        raise ToolError(f"there is no journal in {folder}; begin with `thermokeeper factory new`, or give --folder")
    return Journal(folder)


def _counts(journal: "Journal", batch: str) -> dict[str, int]:
    """Step -> how many serial numbers are so far."""
    found = journal.steps_of(batch).values()
    return {step: sum(step in steps for steps in found) for step in STEPS}


def _state(unit: Unit, steps: dict[str, str]) -> str:
    """The last step that is done, and whether the server knows of it."""
    if unit.scrapped:
        return f"scrapped: {unit.scrapped}"
    last = [step for step in STEPS if step in steps and step != "registered"][-1]
    return last if "registered" in steps else f"{last}, not registered"


GROUPS = [factory]
