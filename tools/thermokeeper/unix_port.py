"""MicroPython's unix port on this machine: how it is started.

It comes as an extension module of CPython with a script around it. The script imports all that a Python program may
want, which takes longer than a short board's life; here the interpreter starts with nothing but the module.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
from pathlib import Path

from thermokeeper.programs import program

_START = (
    "import sys; sys.path.append(sys.argv.pop(1)); sys.argv[0] = 'micropython'; "
    "from micropython import main; sys.exit(main())"
)


def command(*arguments: str | Path, heap_bytes: int) -> list[str]:
    """What starts MicroPython with these arguments. Where it looks for modules stands in MICROPYPATH.

    Arguments and the names of folders have to stay below 256 bytes: beyond, it ends at once.
    """
    return [*_interpreter(), "-X", f"heapsize={heap_bytes}", *map(str, arguments)]


@functools.cache
def _interpreter() -> tuple[str, ...]:
    found = importlib.util.find_spec("micropython_module")
    if found is None or not found.origin:
        return (str(program("micropython")),)
    return (sys.executable, "-I", "-S", "-c", _START, str(Path(found.origin).parent))
