"""The command `thermokeeper`: gathers the parts' commands and turns every ToolError into one line and exit status 1.

A part is imported when one of its commands is used, so that help comes at once. It says in `GROUPS` of its
`commands` which commands it has; what they are for stands here, too, and tests/units/test_cli.py compares.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from typing import NamedTuple

import click

from thermokeeper.errors import ToolError

STOPPED = 130  # as a shell has it for a program that was stopped with Ctrl-C


class Part(NamedTuple):
    """Where a command is defined, and its help in one line."""

    module: str
    help: str


_CLIENT = "thermokeeper.client.commands"
_BOARD = "thermokeeper.board.commands"

# in the order in which a vendor needs them
PARTS: dict[str, Part] = {
    "release": Part("thermokeeper.release.commands", "Build, sign and inspect release files."),
    "server": Part("thermokeeper.server.commands", "Run the provisioning server."),
    "template": Part(_CLIENT, "Templates: one for each kind of device; its versions are what such devices can run."),
    "version": Part(_CLIENT, "Versions of a template, with their firmware."),
    "product": Part(_CLIENT, "Products: a name for people, a default template, and serial numbers."),
    "serial": Part(_CLIENT, "Serial numbers: which devices there are, what each should run, and which are blocked."),
    "thing": Part(_CLIENT, "Things: the devices as the server knows them."),
    "owner": Part(_CLIENT, "Owners: accounts that the vendor makes, and what an owner does with one."),
    "dms": Part(_CLIENT, "Devices that provision themselves: their tokens and their state."),
    "account": Part(_CLIENT, "The vendor's accounts: who may do what, and the tokens they show."),
    "audit": Part(_CLIENT, "The audit: who changed what, and when."),
    "image": Part("thermokeeper.image.commands", "Make a flash image for a serial number."),
    "flash": Part(_BOARD, "Write a flash image to a board."),
    "deploy": Part(_BOARD, "Bring changed files to a board and run them."),
    "console": Part(_BOARD, "Talk to a board."),
    "factory": Part(
        "thermokeeper.factory.commands", "Make batches of boards: serial numbers, flash, self-test, labels."
    ),
    "sim": Part("thermokeeper.simulator.commands", "Run a flash image on a simulated board, and look into one."),
}


class LazyGroup(click.Group):
    """A group that knows its commands' names and imports the one that is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(PARTS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return load(cmd_name) if cmd_name in PARTS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, part.help) for name, part in PARTS.items()])


def load(name: str) -> click.Command:
    """The command of that name, from the part that has it."""
    module = PARTS[name].module
    groups: Iterable[click.Command] = importlib.import_module(module).GROUPS
    for command in groups:
        if command.name == name:
            return command
    raise LookupError(f"{module}.GROUPS has no command {name}")


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Each command tells more with --help, for example: thermokeeper release build --help",
)
@click.version_option(package_name="thermokeeper", prog_name="thermokeeper", message="%(prog)s %(version)s")
def cli() -> None:
    """Make, feed and watch devices that keep themselves up to date.

    A vendor builds and signs a release, registers it with a provisioning server and makes a flash image for each serial
    number. A board, or a simulated one, does the rest by itself.
    """


def main() -> None:
    """Entry point of the installed command."""
    try:
        status = cli.main(prog_name="thermokeeper", standalone_mode=False)
    except ToolError as error:
        click.echo(f"thermokeeper: {error}", err=True)
        status = 1
    except OSError as error:  # of a file or a disk; what is known to go wrong is told better where it does
        where = f"{error.filename}: " if error.filename else ""
        click.echo(f"thermokeeper: {where}{error.strerror or error}", err=True)
        status = 1
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("thermokeeper: stopped", err=True)
        status = STOPPED
    sys.exit(status if isinstance(status, int) else 0)
