"""Where each kind of case is played: releases and answers, a slot that is booted, records in NVS, the factory record.

A room has `warm_up()`, something good that needs what a case may need; `throw(case, number)`: how the case was met, as
text, or an exception; and `leave()`.
"""

import binascii
import json
import sys

import _simthread
import esp32
from victim import NOW, RUNNING, Spliced, Victim, Wrong

from fake_flash import VALID, otadata
from keeper import device, phases
from keeper.assembling import assemble
from keeper.errors import KeeperError
from keeper.factory import identity
from support_flash import attach, make_flash
from thermometer.joining import load as networks
from thermometer.settling.settings import settings_from

_PROJECT = device.__file__.rpartition("lib/keeper/")[0]  # boot.py and main.py belong to the lib/ that is played on
_FACTORY = 0x30000


def _keys(folder):
    with open(folder + "/keys") as file:
        found = json.load(file)
    return {name: binascii.unhexlify(text) for name, text in found.items()}


class ReleaseRoom:
    """Releases, and the answers they come in."""

    kind = "release"
    _GOOD = (("good", "whole"), ("good", "json"), ("good", "range"), ("good", "chunked"), ("packed", "whole"))

    def __init__(self, folder, work):
        self._victim = Victim(folder, work, _keys(folder))
        self._victim.__enter__()

    def warm_up(self):
        for base, how in self._GOOD:
            self._victim.throw({"base": base, "edits": [], "how": how, "stage": "fine", "plain": base})

    def throw(self, case, number):
        return self._victim.throw(case, number)

    def leave(self):
        self._victim.__exit__(None, None, None)


class RecordRoom(ReleaseRoom):
    """What NVS holds; `place` is the record's name. The board has to go on, and to take an update."""

    kind = "record"

    def warm_up(self):
        ReleaseRoom.warm_up(self)
        self._victim.end()

    def throw(self, case, number):
        victim = self._victim
        victim.restore()
        attach(victim.path).tell = victim._told
        phases.handles.clear()
        try:
            with open(victim.folder + "/" + case["base"], "rb") as file:
                esp32.NVS(case["namespace"]).set_blob(case["place"], file.read())
        except OSError:
            return "NVS doesn't take it"
        try:
            return self._life(case, victim)
        finally:
            victim.end()

    def _life(self, case, victim):
        if case["namespace"] != "keeper":
            return f"{len(networks())} networks"
        victim.server.case, victim.server.target = victim.good, "good"
        victim.start()
        for _ in range(6):
            end = victim.step()
            if end == "reset":
                victim._is_installed("good")
                return "updated"
        if case["place"] == "policy":
            return "stays"  # it may hold a higher security version, or revoke the key
        raise Wrong(f"the board doesn't update any more: {victim.lifecycle.met}")


class FactoryRoom(RecordRoom):
    """Any content of the partition `factory`."""

    kind = "factory"

    def throw(self, case, number):
        victim = self._victim
        content = Spliced(victim.folder + "/" + case["base"], [])
        _write(content, victim.path, _FACTORY, 4096)
        content.close()
        victim.restore()
        attach(victim.path).tell = victim._told
        phases.handles.clear()
        try:
            return self._life(case, victim)
        finally:
            victim.end()

    def _life(self, case, victim):
        try:
            found = identity.read()
        except KeeperError as error:
            return str(error)
        settings_from(found.extra)
        victim.server.target = victim.server.current
        try:
            lifecycle = assemble(found, victim, _nothing, lambda: NOW)
            lifecycle.begin()
        except KeeperError as error:
            return str(error)
        lifecycle.step()
        return "lives as " + found.serial


class BootRoom:
    """A slot with anything in it: boot.py and main.py go through, or end in a line and a reset."""

    kind = "boot"

    def __init__(self, folder, work):
        self._folder = folder
        self._path = work + "/boot.bin"
        make_flash(self._path, otadata((1, VALID)))
        self._boot = self._compiled("boot.py")
        self._main = self._compiled("main.py")
        self._lines = []
        if not hasattr(sys, "print_exception"):
            sys.print_exception = _nothing

    @staticmethod
    def _compiled(name):
        with open(_PROJECT + name) as file:
            return compile(file.read(), name, "exec")

    def warm_up(self):
        met = self.throw({"base": "boot", "edits": []}, 0)
        if met != "ran":
            raise Wrong("the good slot isn't booted: " + met)

    def throw(self, case, number):
        self._fill(case)
        attach(self._path)
        path, before = sys.path[:], dict(sys.modules)
        self._lines.clear()
        # the application comes from the slot, or not at all
        sys.path[:] = [folder for folder in path if not folder.endswith("/lib")]
        for name in before:
            if name.split(".")[0] == "thermometer":
                del sys.modules[name]
        try:
            exec(self._boot, {"__name__": "__main__", "print": self._say})
            if "/release" in sys.path and self._lines:
                raise Wrong("boot.py speaks of a failure, and the path has the release")
            end = self._start()
        finally:
            sys.path[:] = path
            for name in list(sys.modules):
                if name not in before:
                    del sys.modules[name]
            sys.modules.update(before)
            _unmount()
        if end == "" and len(self._lines) == 0:
            raise Wrong("nothing ran, and nobody says so")
        if "memory" in " ".join(self._lines) and not case.get("hungry"):
            raise MemoryError(self._lines[0])
        return end or self._lines[0]

    def _say(self, *words):
        self._lines.append(" ".join([str(word) for word in words]))

    def _fill(self, case):
        content = Spliced(self._folder + "/" + case["base"], case["edits"])
        _write(content, self._path, RUNNING, 0x10000)
        content.close()

    def _start(self):
        """main.py, up to its reset: "ran" if the release's application did."""
        ran = []
        replaced = {"machine": _Machine, "time": _Time, "gc": _Gc, "network": _Network, "_thread": _simthread}
        real = {name: sys.modules.get(name) for name in replaced}
        sys.modules.update(replaced)
        _Machine.ran = ran
        if sys.implementation.name != "micropython":
            import on_cpython

            on_cpython.import_from_release("thermometer", "app")
        try:
            exec(self._main, {"__name__": "__main__", "print": self._say})
            raise Wrong("main.py ended without a reset")
        except _Over:
            return "ran" if ran else ""
        finally:
            for name, module in real.items():
                if module is None:
                    del sys.modules[name]
                else:
                    sys.modules[name] = module

    def leave(self):
        pass


class _Over(BaseException):
    """The board was reset."""


class _Machine:
    PWRON_RESET, SOFT_RESET = 1, 5
    ran = []

    class RTC:
        def memory(self, data=None):
            return b""

    @staticmethod
    def WDT(timeout):
        pass

    @staticmethod
    def reset_cause():
        return _Machine.PWRON_RESET

    @staticmethod
    def reset():
        raise _Over


class _Network:
    STA_IF = 0

    class WLAN:
        def __init__(self, interface):
            pass

        def active(self, wanted):
            pass


class _Time:
    @staticmethod
    def sleep_ms(duration_ms):
        pass


class _Gc:
    @staticmethod
    def threshold(size):
        pass


def _write(content, path, start, size):
    """Put it into a flash file; what is left of `size` is blank."""
    with open(path, "r+b") as file:
        file.seek(start)
        at = 0
        while at < size:
            piece = content.read(at, 512) or b"\xff" * 512
            piece = piece[: size - at]
            file.write(piece)
            at += len(piece)


def _unmount():
    import vfs

    for _, path in list(vfs.mount()):
        if path == "/release":
            vfs.umount("/release")


def _nothing(*_):
    pass


ROOMS = {room.kind: room for room in (ReleaseRoom, RecordRoom, FactoryRoom, BootRoom)}
