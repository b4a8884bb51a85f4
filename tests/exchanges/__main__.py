"""`make exchanges`: the campaign, and its table. Exit status 1 if a life went wrong."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from exchanges.report import Report, campaign, table
from exchanges.setting import Goods


def _progress(report: Report) -> None:
    if sys.stderr.isatty():
        print(f"\r{len(report.lived)} lives, {len(report.failed)} wrong ", end="", file=sys.stderr, flush=True)


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="thermokeeper-exchanges-") as name:
        Goods.make(Path(name))
        report = campaign(Path(name), os.cpu_count() or 2, on_outcome=_progress)
    print("\n".join(table(report)))
    if report.failed:
        print("\n" + report.complaint())
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
