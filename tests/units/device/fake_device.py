"""A whole device over a simulated flash and a fake service: it lives through resets and power cuts, in its own time.

Runs on CPython and MicroPython. A device loads keeper's phases and forgets them, as on a board: what a test patches in
a module of a phase doesn't last.
"""

import gc
import sys

import _sim
from esp32 import Partition

from fake_flash import SLOTS, boot, flash_bytes, identity
from fakes import Cloud
from keeper import phases, uptime
from keeper.lifecycle import Lifecycle
from keeper.nvs.state import Store
from keeper.services.gadgetkeeper.standing import Activation
from support import temp_dir, write_file
from support_flash import Ended, attach, board


class Clock:
    """Time that passes when a test says so, with the ticks of the board; starts shortly before they wrap."""

    _PERIOD = 1 << 30

    def __init__(self):
        self._now_ms = self._PERIOD - 1000

    def pass_ms(self, duration_ms):
        self._now_ms += duration_ms

    def ticks_ms(self):
        return self._now_ms % self._PERIOD

    def ticks_add(self, ticks, delta):
        return (ticks + delta) % self._PERIOD

    def ticks_diff(self, end, start):
        return (end - start + self._PERIOD // 2) % self._PERIOD - self._PERIOD // 2


class clock_of:
    """`with clock_of(uptime) as clock:` gives these modules a clock of the test's."""

    def __init__(self, *modules):
        self._modules = modules
        self._real = [module.time for module in modules]

    def __enter__(self):
        clock = Clock()
        for module in self._modules:
            module.time = clock
        return clock

    def __exit__(self, error_type, error, trace):
        for module, real in zip(self._modules, self._real):
            module.time = real
        return False


class brought:
    """`with brought(KEYS):` the running release brings this module `trust`, which the code under test may forget.

    more: REVOKED, CA.
    """

    def __init__(self, keys, **more):
        self._lines = ["%s = %r" % (name, more[name]) for name in more] + ["KEYS = %r" % (keys,)]
        self._temp_dir = temp_dir()

    def __enter__(self):
        self._path = self._temp_dir.__enter__()
        write_file(self._path + "/trust.py", "\n".join(self._lines).encode())
        sys.path.insert(0, self._path)
        sys.modules.pop("trust", None)
        return self._path

    def __exit__(self, error_type, error, trace):
        sys.path.remove(self._path)
        sys.modules.pop("trust", None)
        return self._temp_dir.__exit__(error_type, error, trace)


class kept_loaded:
    """`with kept_loaded():` phases end, but what they had loaded stays: for hundreds of lives, which would else take
    minutes to load it anew. That a life goes on without what was forgotten shows in all the other tests."""

    def __enter__(self):
        self._real = phases.sys
        phases.sys = self
        self.modules = {}

    def __exit__(self, error_type, error, trace):
        phases.sys = self._real
        return False


class cut_before_the_switch:
    """`with cut_before_the_switch():` the power goes just before the other slot would be selected."""

    def __enter__(self):
        self._real = Partition.set_boot
        Partition.set_boot = lambda partition: _sim.board().end("cut")

    def __exit__(self, error_type, error, trace):
        Partition.set_boot = self._real
        return False


class Device:
    """`with Device(service, keys, parts) as device:` a flash that lives through resets, and the objects of one life.

    It is the product, too: `missing` is what its health lacks. `cut` (operation, moment, seed) ends one life.
    """

    def __init__(self, service, keys, parts, **changes):
        self.service = service
        self.missing = ""
        self.only_server = False  # whether a trial that failed lacked nothing else
        self.resets = 0
        self.operations = 0
        self.cut = None
        self.identity = identity(**changes)
        self._board = board(parts)
        self._brought = brought(keys)
        self._clock_of = clock_of(uptime)

    def __enter__(self):
        self._brought.__enter__()
        self.clock = self._clock_of.__enter__()
        self.path = self._board.__enter__().path
        if hasattr(gc, "freeze"):
            gc.freeze()  # a device collects often: on CPython, among all that pytest holds, that takes long
        return self

    def __exit__(self, *error):
        if hasattr(gc, "unfreeze"):
            gc.unfreeze()
        self._clock_of.__exit__(*error)
        self._brought.__exit__(*error)
        return self._board.__exit__(*error)

    def start(self):
        """Boot and build a life's objects, as a product does."""
        self.label = boot(self.path)
        settings = {}
        if self.cut:
            settings["cuts"] = [{"operation": self.cut[0], "moment": self.cut[1], "seed": self.cut[2]}]
        self.sim = attach(self.path, self.label, settings)
        self.sim.operations = self.operations
        self.told = []  # what the board does to its flash in this life: "op erase ADDRESS", "op program ADDRESS"
        self.sim.tell = self.told.append
        self.cloud, self.activation = self.join()
        now = "2026-11-21T21:00:00Z"
        self.lifecycle = Lifecycle(self.activation, self.cloud, self, self._pulse, lambda: now)
        self.lifecycle.begin()

    def join(self):
        """A driver for the service, and the standing with it."""
        cloud = Cloud(self.service)
        return cloud, Activation(self.identity, cloud, "ThermometerDevice")

    def live(self, turns=4, turn_ms=901_000):
        """One life with some turns of work; how it ended: "reset", "cut" or, if it goes on, "alive"."""
        try:
            self.start()
            self.turn(turns, turn_ms)
            end = "alive"
        except Ended as ended:
            end = str(ended)
        finally:
            self.operations = self.sim.operations
        return end

    def turn(self, turns=1, turn_ms=901_000):
        """Let the life cycle do what is due, some times, with time between."""
        for _ in range(turns):
            self.lifecycle.step()
            self.clock.pass_ms(turn_ms)

    def calls(self):
        """The verbs that the service heard since this was asked last."""
        heard = self.service.calls[:]
        del self.service.calls[:]
        return heard

    def slot(self, label, size):
        """Content of a slot."""
        return flash_bytes(self.path, SLOTS[label], size)

    def record(self, name):
        """A record in NVS as it is, or None."""
        if self.sim.over:
            attach(self.path, self.label)
        return Store().load(name)

    # the product

    def healthy(self):
        return self.missing

    def last_words(self):
        return "watchdog"

    def blameless(self):
        return self.only_server

    def before_reset(self):
        pass

    def reset(self):
        self.resets += 1
        _sim.board().end("reset")

    def _pulse(self):
        pass
