"""Prints the budget beside what is counted: `make memory`."""

import sys
import tempfile
from pathlib import Path

from budget.counting import count
from budget.test_budget import KINDS
from thermokeeper.release import budget

print(f"bytes of a board's heap; at most {budget.IDLE} when idle, {budget.PEAK} at any stage, garbage included")
for kind in KINDS:
    with tempfile.TemporaryDirectory() as folder:
        counts, names = count(Path(folder), Path(sys.prefix), kind)
    print(f"{kind}; {names} names, at most {budget.NAMES}")
    for stage, size in counts.items():
        if not stage.endswith(" over"):
            most = budget.MAIN + size + (budget.GARBAGE if stage != "idle" else 0)
            print(f"  {stage:16}{most:8}")
