"""`thermokeeper flash`, `deploy` and `console`: a real board on a port."""

from __future__ import annotations

import json
from pathlib import Path

import click

from thermokeeper.files import PROJECT

_PATH = click.Path(path_type=Path)
_PORT_HELP = "Where the board is: /dev/ttyUSB0, COM3, socket://HOST:PORT, rfc2217://HOST:PORT.  [the only one on USB]"


@click.command("flash")
@click.argument("image", type=_PATH)
@click.option("--port", help=_PORT_HELP)
@click.option("--baud", default=460_800, show_default=True, help="Speed, once the chip has answered.")
@click.option("--erase", is_flag=True, help="Erase the whole flash before, also what lies behind the image.")
def flash(image: Path, port: str | None, baud: int, erase: bool) -> None:
    """Write a flash image to a board.

    IMAGE is what `thermokeeper image build` makes for one serial number. It replaces everything on the board, NVS too;
    a board that has lived forgets its Wi-Fi networks and its key, and activates again.
    """
    from thermokeeper.board import port as ports
    from thermokeeper.board.flash import flash as write

    click.echo(write(image, ports.chosen(port), baud, erase))


@click.command("deploy")
@click.option("--port", help=_PORT_HELP)
@click.option(
    "--lib",
    type=_PATH,
    default=PROJECT / "lib",
    help="Folder with the packages; boot.py and main.py beside it come along.  [the project's lib/]",
)
@click.option("--clear", is_flag=True, help="Take off what was deployed: the board runs its release again.")
def deploy(port: str | None, lib: Path, clear: bool) -> None:
    """Bring changed files to a board and run them.

    What differs in lib/, and in boot.py and main.py beside it, from the release on the board is copied to the board
    and runs in its place, until --clear. An update puts it aside: the board says at each start which it runs.
    """
    from thermokeeper.board import deploy as deploying
    from thermokeeper.board import port as ports

    name = ports.chosen(port)
    click.echo(deploying.clear(name) if clear else deploying.deploy(name, lib, click.echo))


@click.command("console")
@click.argument("command", nargs=-1)
@click.option("--port", help=_PORT_HELP)
@click.option("--json", "as_json", is_flag=True, help="Send COMMAND, print the board's one answer, and end.")
@click.option("--timeout", default=30.0, show_default=True, help="Seconds to wait for the answer.")
def console(command: tuple[str, ...], port: str | None, as_json: bool, timeout: float) -> None:
    """Talk to a board.

    Without --json this is a terminal, which Ctrl-] leaves. With it COMMAND is asked, like: console --json status.
    Exit status 1 if the board refuses.
    """
    from thermokeeper.board import console as talking
    from thermokeeper.board import port as ports

    if as_json != bool(command):
        raise click.UsageError("--json needs a COMMAND" if as_json else "a COMMAND needs --json")
    name = ports.chosen(port)
    if not as_json:
        talking.terminal(name)
        return
    answer = talking.ask(name, command, timeout)
    click.echo(json.dumps(answer, ensure_ascii=False, indent=2))
    if not answer["ok"]:
        raise SystemExit(1)


GROUPS = [flash, deploy, console]
