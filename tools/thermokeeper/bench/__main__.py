"""Entry of `make bench`: measures, prints, and ends with status 0 only if every target is met."""

import json
import sys
import tempfile
import time
from pathlib import Path

import click
from rich.console import Console

from thermokeeper.bench import measures, report
from thermokeeper.bench.workbench import FlashTimes, workbench
from thermokeeper.errors import ToolError

# Milliseconds for a block of 4096 bytes. Erasing: about 45 on a real chip. Programming: 12, an assumption, the same as
# in the simulator's example world. Reading: 7.7, from 2.7 s for 1.43 MB with stock firmware on an emulated ESP32.
CHIP_FLASH_MS = FlashTimes(erase=45, program=12, read=7.7)


@click.command()
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Write the numbers there.")
@click.option("--chip-rounds", default=2, show_default=True, help="Rounds with a chip's flash times, 76 s each.")
@click.option("--rounds", default=9, show_default=True, help="Rounds with flash that takes no time.")
@click.option("--boots", default=5, show_default=True, help="Boots to the first reading.")
def main(json_path: Path | None, chip_rounds: int, rounds: int, boots: int) -> None:
    """Measure installations and boots of the simulated board; exit status 1 if a target is missed."""
    console = Console(width=110, highlight=False)
    began_s = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="thermokeeper-bench-") as name, workbench(Path(name)) as bench:
            minutes = (chip_rounds * 76 + 80) / 60
            console.print(f"[dim]measuring; this takes some {minutes:.0f} minutes[/]")
            host = measures.race(bench, rounds, FlashTimes())
            boot = measures.boot(bench, boots)
            heap = measures.heap_needs(bench)
            chip = measures.race(bench, chip_rounds, CHIP_FLASH_MS)
        results = report.Results(chip, host, heap, boot)
        report.show(results, console)
        if json_path:
            try:
                json_path.write_text(json.dumps(results.as_json(), indent=2) + "\n", encoding="utf-8")
            except OSError as error:
                raise ToolError(f"{json_path} can't be written: {error.strerror}") from None
    except ToolError as error:
        console.print(f"bench failed: {error}", markup=False)
        sys.exit(2)
    console.print(f"[dim]{time.monotonic() - began_s:.0f} s in all[/]")
    sys.exit(0 if all(target.met for target in results.targets()) else 1)


if __name__ == "__main__":
    main()
