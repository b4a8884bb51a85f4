"""`make fuzz`: so many calls at random of each kind; what is wrong with an answer, and how to make that call again."""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
from pathlib import Path

from fuzz.campaign import faults_of, operations
from fuzz.scene import scene


def main() -> int:
    """Status 0 if every answer was as it should be."""
    parser = argparse.ArgumentParser(
        prog="make fuzz ARGS=...", description="Calls at random, by the server's document."
    )
    parser.add_argument("--examples", type=int, default=200, metavar="N", help="of each call (default: 200)")
    parser.add_argument("--seed", type=int, help="of a run before, to make the same calls again")
    parser.add_argument("--only", default="", metavar="TEXT", help="calls whose method and path have this text")
    options = parser.parse_args()
    seed = secrets.randbelow(1 << 32) if options.seed is None else options.seed
    print(f"seed {seed}: make fuzz ARGS='--seed {seed} --examples {options.examples}' makes the same calls", flush=True)
    calls, faults = 0, []
    with tempfile.TemporaryDirectory() as folder, scene(Path(folder)) as found:
        for operation in operations(found):
            if options.only in operation.label:
                print(operation.label, flush=True)
                calls += 1
                faults += faults_of(found, operation, options.examples, seed)
    print("\n".join(f"FAULT {fault}" for fault in faults))
    print(f"{calls} kinds of calls, some {options.examples} of each: {len(faults)} faults")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
