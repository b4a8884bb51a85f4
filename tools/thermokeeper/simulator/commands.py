"""`thermokeeper sim`: run a flash image as a board would, and look into one."""

from __future__ import annotations

import contextlib
import fcntl
import sys
import tempfile
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from thermokeeper.errors import ToolError
from thermokeeper.groups import Group

if TYPE_CHECKING:
    from thermokeeper.simulator.board import Event

RUNTIMES = ("micropython", "cpython", "cpython-process")
_RUNTIME_HELP = "What runs the device's code; cpython needs a release with sources."
_FLASH = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group(cls=Group)
def sim() -> None:
    """Run a flash image on a simulated board, and look into one.

    The image is what `thermokeeper image` makes for a real board. What a board would write to its flash goes into a
    copy, unless it is asked for in the file itself.
    """


@sim.command()
@click.argument("flash", type=_FLASH)
@click.option("--runtime", type=click.Choice(RUNTIMES), default=RUNTIMES[0], show_default=True, help=_RUNTIME_HELP)
@click.option("--heap", default="256k", show_default=True, help="Heap for the device's code on MicroPython.")
@click.option(
    "--memory", default="v1.25", show_default=True, help="Memory as with stock firmware: v1.25, v1.26; or roomy."
)
@click.option("--world", "world_path", type=_FLASH, help="World around the board: see `sim world`. Saving it acts.")
@click.option("--for", "for_s", type=click.FloatRange(min=0), help="Switch the board off after so many seconds.")
@click.option("--fast", is_flag=True, help="In virtual time: waits take none, an hour is over in seconds.")
@click.option("--boots", default=100, show_default=True, help="Give up after so many boots.")
@click.option(
    "--in-place", is_flag=True, help="Change FLASH itself as a board would: so the next run goes on from there."
)
@click.option("--port", "on_port", is_flag=True, help="Put the console on a port, for `console`, `deploy` or mpremote.")
def run(
    flash: Path,
    runtime: str,
    heap: str,
    memory: str | None,
    world_path: Path | None,
    for_s: float | None,
    fast: bool,
    boots: int,
    in_place: bool,
    on_port: bool,
) -> None:
    """Run FLASH until it stops, or until Ctrl-C; what is typed goes to the board's console.

    FLASH stays as it is, unless with --in-place; then no other run may use it.
    Lines of the board are printed as they come; lines that begin with `--` tell what happened to it, the first one
    with --port the port's name. Exit status 0 if it was switched off, 1 if it stopped by itself.
    """
    from thermokeeper.simulator.board import MEMORY, Board
    from thermokeeper.simulator.world import World

    if on_port and fast:
        raise ToolError("--port is for programs that live in real time: leave out --fast")
    if on_port and runtime != RUNTIMES[0]:
        raise ToolError(f"--port wants --runtime {RUNTIMES[0]}: only there is a prompt behind the program")
    world = World.load(world_path) if world_path else World()
    done = threading.Event()
    if world_path:
        threading.Thread(target=_follow, args=(world, world_path, done), daemon=True).start()
    with contextlib.ExitStack() as at_the_end:
        at_the_end.callback(done.set)
        flash = at_the_end.enter_context(_own(flash) if in_place else _copy_of(flash))
        if on_port:
            from thermokeeper.simulator.port import BoardOnPort, Port

            port = at_the_end.enter_context(Port())
            click.echo(f"-- port {port.path}")
            board: Board = BoardOnPort(flash, port, world, heap, memory or MEMORY)
        else:
            board = Board(flash, world, runtime=runtime, heap=heap, virtual_time=fast, memory=memory or MEMORY)
        threading.Thread(target=_type, args=(board,), daemon=True).start()
        _show(board.run(for_s=for_s, max_boots=boots))
    if board.outcome not in ("off", "time"):
        raise SystemExit(1)


@contextlib.contextmanager
def _copy_of(flash: Path) -> Iterator[Path]:
    """A copy that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="thermokeeper-sim-") as folder:
        copy = Path(folder) / flash.name
        try:
            copy.write_bytes(flash.read_bytes())
        except OSError as error:
            raise ToolError(f"{flash} can't be copied: {error.strerror}") from None
        yield copy


@contextlib.contextmanager
def _own(flash: Path) -> Iterator[Path]:
    """The file itself, for nobody else meanwhile; ToolError if it can't be written, or another board runs in it."""
    try:
        file = flash.open("r+b")
    except OSError as error:
        raise ToolError(f"{flash} can't be changed in place: {error.strerror}; leave out --in-place") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ToolError(f"{flash}: another simulated board runs in it; stop that one first") from None
        yield flash


def _show(events: Generator[Event, None, None]) -> None:
    """Print what happens, until Ctrl-C."""
    try:
        for event in events:
            click.echo(str(event))
    except KeyboardInterrupt:
        events.close()
        click.echo("-- off")


def _follow(world: object, path: Path, done: threading.Event) -> None:
    """Take over the world file whenever it is saved."""
    from thermokeeper.simulator.world import World, read_file

    assert isinstance(world, World)
    seen = path.stat().st_mtime_ns
    while not done.wait(0.5):
        try:
            now = path.stat().st_mtime_ns
            if now != seen:
                seen = now
                world.update(**read_file(path))
                click.echo("-- world changed")
        except (OSError, ToolError) as error:
            click.echo(f"-- world not changed: {error}", err=True)


def _type(board: object) -> None:
    from thermokeeper.simulator.board import Board

    assert isinstance(board, Board)
    if sys.stdin is None or sys.stdin.closed:
        return
    for line in sys.stdin:
        board.type(line.rstrip("\n"))


@sim.command()
@click.argument("flash", type=_FLASH)
def inspect(flash: Path) -> None:
    """Show FLASH: partitions, otadata and what boots next, keys in NVS (never their values)."""
    from thermokeeper.simulator.describe import describe

    for line in describe(flash):
        click.echo(line)


@sim.command()
def world() -> None:
    """Print an example of a world file, with comments."""
    from thermokeeper.simulator.world import EXAMPLE

    click.echo(EXAMPLE, nl=False)


GROUPS = [sim]
