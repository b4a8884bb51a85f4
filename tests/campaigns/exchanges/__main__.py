"""`make exchanges`: the campaign with each service, and its table. Exit status 1 if a life went wrong."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from exchanges.report import Report, campaign, table
from exchanges.setting import Goods
from exchanges.worker import LIVES


def _progress(report: Report) -> None:
    if sys.stderr.isatty():
        print(f"\r{len(report.lived)} lives, {len(report.failed)} wrong ", end="", file=sys.stderr, flush=True)


def main() -> int:
    failed = False
    with tempfile.TemporaryDirectory(prefix="thermokeeper-exchanges-") as name:
        Goods.make(Path(name))
        for cloud in LIVES:
            report = campaign(Path(name), os.cpu_count() or 2, cloud=cloud, on_outcome=_progress)
            print(f"\n{cloud}\n" + "\n".join(table(report)), flush=True)
            if report.failed:
                failed = True
                print("\n" + report.complaint())
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
