"""What the modules of a release take of a board's heap, estimated by loading them into MicroPython on this host.

Objects are larger there and text and code are not; `SHARE` is how much of it a board needs, docs/memory.md says how
that was found. It knows modules by name only, and not what a board does with them.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from thermokeeper import unix_port
from thermokeeper.errors import ToolError

SHARE = 0.8
_SECONDS = 60
_HEAP_BYTES = 2 * 1024 * 1024
# what stock firmware for the ESP32 has and this host hasn't: anything can be had from them
_FIRMWARE = (
    *("bluetooth", "btree", "dht", "ds18x20", "esp", "esp32", "espnow", "machine", "neopixel", "network", "ntptime"),
    *("onewire", "webrepl"),
)
_STUB = """
def __getattr__(name):
    if name[:1] == "_":
        raise AttributeError(name)
    return type(name, (), {})
"""
_PROGRAM = """
import gc, json, sys
sys.path[:] = ["", ".frozen", FOLDER + "/firmware", FOLDER + "/release"]
names = json.loads(NAMES)
before = set(sys.modules)
def drop():
    for name in list(sys.modules):
        if name not in before:
            module = sys.modules.pop(name)
            above, _, leaf = name.rpartition(".")
            above = sys.modules.get(above)
            if above and getattr(above, leaf, None) is module:
                delattr(above, leaf)
def load(name):
    try:
        __import__(name)
    except Exception as error:
        return repr(error)
    return ""
with_it, failed = {}, {}
for name in names:
    failed[name] = load(name)
    with_it[name] = [one for one in sys.modules if one in names]
    drop()
own = {}
for name in sorted(names, key=lambda name: len(with_it[name])):
    if failed[name]:
        continue
    gc.collect()
    empty = gc.mem_alloc()
    load(name)
    gc.collect()
    own[name] = gc.mem_alloc() - empty
print(json.dumps([own, with_it, {name: why for name, why in failed.items() if why}]))
"""


@dataclass(frozen=True)
class Weights:
    """own: bytes of a board's heap by module. with_it: what importing a module loads, itself included."""

    own: dict[str, int]
    with_it: dict[str, frozenset[str]]
    failed: dict[str, str]  # those that can't be imported here, and why

    def loaded(self, *names: str) -> frozenset[str]:
        """These modules, with what they load."""
        return frozenset[str]().union(*(self.with_it[name] for name in names if name in self.with_it))

    def of(self, *names: str) -> int:
        """Bytes of these modules together, with what they load."""
        return sum(self.own.get(name, 0) for name in self.loaded(*names))


def weigh(files: dict[str, bytes]) -> Weights:
    """Weigh the modules among a release's files; ToolError if MicroPython doesn't do it."""
    with tempfile.TemporaryDirectory(prefix="thermokeeper-weigh-") as folder:
        root = Path(folder)
        for name in _FIRMWARE:
            _write(root / "firmware" / f"{name}.py", _STUB.encode())
        for path, content in files.items():
            _write(root / "release" / path, content)
        names = json.dumps(sorted(filter(None, (_module(path) for path in files))))
        script = f"FOLDER = {folder!r}\nNAMES = {names!r}\n{_PROGRAM}"
        _write(root / "weigh.py", script.encode())
        try:
            done = subprocess.run(
                unix_port.command(root / "weigh.py", heap_bytes=_HEAP_BYTES),
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                check=False,
            )
            own, with_it, failed = json.loads(done.stdout.splitlines()[-1])
        except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
            raise ToolError(f"the release's modules can't be weighed: {error}") from None
    return Weights(
        {name: round(size * SHARE) for name, size in own.items()},
        {name: frozenset(loaded) for name, loaded in with_it.items()},
        failed,
    )


def _module(path: str) -> str:
    pure = PurePosixPath(path)
    if pure.suffix not in (".mpy", ".py") or pure.parts[0] == "board":
        return ""
    return ".".join(pure.parent.parts if pure.stem == "__init__" else pure.with_suffix("").parts)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
