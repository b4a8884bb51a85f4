"""On CPython, gives the device's modules the simulator's sockets, TLS, poll and deflate, which behave as MicroPython's.

Imported for that effect only. The standard library stays as it is: tests' own servers use it.
"""

import sys
import time

import keeper.talking.wire
import keeper.trusting.tls
from thermokeeper.simulator.on_cpython import streams

_modules = streams.modules()
sys.modules["deflate"] = _modules["deflate"]
keeper.talking.wire.socket = _modules["socket"]
keeper.talking.wire.select = _modules["select"]
keeper.trusting.tls.ssl = _modules["ssl"]

if not hasattr(time, "ticks_ms"):  # outside pytest, whose conftest lends them
    time.ticks_ms = lambda: time.monotonic_ns() // 1_000_000 % (1 << 30)
    time.ticks_diff = lambda end, start: (end - start + (1 << 29)) % (1 << 30) - (1 << 29)
