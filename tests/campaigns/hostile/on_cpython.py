"""Gives CPython what the device code expects of MicroPython: its ticks, `deflate` and `vfs` of the simulated board."""

import sys
import time
from types import ModuleType

from thermokeeper.simulator.on_cpython import streams
from thermokeeper.simulator.on_cpython.filesystem import Files

_TICKS = 1 << 30


def lend_ticks() -> None:
    """Give `time` what it lacks."""
    lent = {
        "ticks_ms": lambda: time.monotonic_ns() // 1_000_000 % _TICKS,
        "ticks_add": lambda ticks, delta: (ticks + delta) % _TICKS,
        "ticks_diff": lambda end, start: (end - start + _TICKS // 2) % _TICKS - _TICKS // 2,
        "sleep_ms": lambda ms: time.sleep(ms / 1_000),
    }
    for name, function in lent.items():
        if not hasattr(time, name):
            setattr(time, name, function)


def lend() -> None:
    """Put all of it where device code finds it; for a process that does nothing else."""
    lend_ticks()
    found = streams.modules()
    sys.modules["deflate"] = found["deflate"]
    sys.modules["vfs"] = Files().vfs_module()


def import_from_release(package: str, name: str) -> None:
    """Import a module from what is mounted at /release, as MicroPython's import would; nothing happens without one.

    Errors are kept: the import of a module that isn't there will raise one.
    """
    import vfs  # type: ignore[import-not-found]

    for fs, path in vfs.mount():
        if path == "/release":
            for dotted, file in ((package, f"/{package}/__init__.py"), (f"{package}.{name}", f"/{package}/{name}.py")):
                module = ModuleType(dotted)
                module.__path__ = []
                try:
                    with fs.open(file, "r") as source:
                        exec(source.read(), module.__dict__)
                except Exception as error:
                    print(f"not imported: {error!r}")
                    return
                sys.modules[dotted] = module
