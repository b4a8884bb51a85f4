"""A board's Python on CPython: its own modules, files, builtins and console, so that device code runs unchanged.

The code sees only what a board has: an import that stock MicroPython couldn't do fails here, too. Nothing global is
touched; any number of boards can run in one process, each in its thread.
"""

from __future__ import annotations

import array
import binascii
import builtins
import cmath
import collections
import ctypes
import errno
import hashlib
import heapq
import io
import json
import math
import os
import platform
import random
import re
import struct
import threading
import traceback
import weakref
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from thermokeeper.simulator import console
from thermokeeper.simulator.on_cpython import accounted, imports, streams
from thermokeeper.simulator.on_cpython.filesystem import Files
from thermokeeper.simulator.on_cpython.streams import module_of
from thermokeeper.simulator.shimcode import ShimModules

if TYPE_CHECKING:
    from thermokeeper.simulator.board import Board

_HOST_MODULES = {
    module.__name__: module
    for module in (
        array,
        binascii,
        cmath,
        collections,
        errno,
        hashlib,
        heapq,
        io,
        json,
        math,
        platform,
        random,
        re,
        struct,
    )
}
_OURS = (__file__, imports.__file__)  # on a board these steps would be in C


class _LifeOver(BaseException):
    """Raised into device code where a board would stop dead. Not an Exception: `except Exception` doesn't see it."""


def _interrupt(thread: int) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(_LifeOver))


class Sandbox:
    """One life. `run` boots and returns how it ended; `halt` ends it from another thread."""

    def __init__(self, board: Board, cause: int) -> None:
        self._flash = board.flash.open("r+b", buffering=0)
        self._runner: Board | None = board
        shim = self._new_shim()
        sim = shim["_sim"]
        hardware = sim.Board(
            self._flash,
            board.heard,
            self._end,
            lambda: board.world.settings,
            board.slot,
            cause,
            len(board.operations),
            board.rtc,
            board.clock,
            board.memory_of,
        )
        hardware.judge = True

        def turn() -> None:
            board.follow(hardware.skipped_ms, hardware.connections)

        def say(line: str) -> None:
            turn()
            board.tell("console", line)

        if board.virtual_time:
            hardware.live_virtually(board.origin_s, board.pauses.now_ms, board.until_ms, turn)
        if board.wdt_ms:
            hardware.arm(board.wdt_ms)  # it survives a soft reset
        self._set_up(shim, hardware, say, board.sources)

    @classmethod
    def from_environment(cls, say: Callable[[str], None], stdin: int) -> Sandbox:
        """A life in a process of its own, told by the environment as on MicroPython."""
        self = cls.__new__(cls)
        self._runner = None
        shim = self._new_shim()
        self._set_up(shim, shim["_sim"].board(), say, (), stdin)
        return self

    def _new_shim(self) -> ShimModules:
        self._shim = ShimModules()
        return self._shim

    def _set_up(
        self,
        shim: ShimModules,
        hardware: Any,
        say: Callable[[str], None],
        sources: tuple[Path, ...],
        stdin: int | None = None,
    ) -> None:
        self._hardware = hardware
        shim["_sim"].attach(hardware)
        self._thread = 0
        self._lock = threading.Lock()
        self._halted = threading.Event()
        self._interrupted = False
        self._sockets: weakref.WeakSet[Any] = weakref.WeakSet()
        self._say = say
        self._console = console.Output(say)
        self._pipe = os.pipe() if stdin is None else (stdin, -1)
        self._files = Files()
        self._imports = imports.Imports(self._files, shim, sources)
        self._imports.builtins = board_builtins = {
            **vars(builtins),
            "__import__": self._imports.load,
            "open": self._files.open,
            "print": self._print,
            "input": self._input,
            "execfile": self._execfile,
        }
        board_time = shim["_simtime"]
        shim.replacements["time"] = board_time
        connected = streams.modules(shim["network"].linked, hardware, self._sockets, shim["_simntp"])
        accounted.account(connected, hardware.memory, self._sockets, shim["_simntp"])
        self._imports.given = {
            **_HOST_MODULES,
            **connected,
            "time": board_time,
            "vfs": self._files.vfs_module(),
            "os": self._os(),
            "sys": self._sys(),
            "gc": shim["_simgc"],
            "_thread": shim["_simthread"],
            "micropython": shim["micropython"],
            "builtins": module_of("builtins", board_builtins),
        }

    # running

    def run(self) -> str:
        """Start up as stock firmware does, run boot.py and main.py; how this life ended."""
        try:
            try:
                self._boot()
            finally:
                self._leave()
        except _LifeOver:
            self._leave()  # halted just as it ended by itself
        end = self._hardware.over or "off"
        if self._runner is not None:
            self._runner.wdt_ms = self._hardware.wdt_ms
            self._runner.follow(self._hardware.skipped_ms, self._hardware.connections)
            if end == "repl" and self._hardware.wdt_ms:
                self._runner.sleep(self._hardware.wdt_ms)
                end = "watchdog"
        return str(end)

    def _boot(self) -> None:
        self._thread = threading.get_ident()
        if self._halted.is_set():
            return
        shim = self._shim
        for name in ("machine", "network", "onewire", "ds18x20", "ntptime"):
            shim[name]
        self._hardware.memory.start()
        # What the stock start-up prints and opens is the board's as well.
        start = shim["_simboot"]
        start.__dict__.update({"print": self._print, "open": self._files.open})
        start.boot(
            self._hardware,
            shim["esp32"].Partition,
            self._imports.given["vfs"],
            self._imports.given["os"],
            self._run_file,
        )

    def _leave(self) -> None:
        """Nothing of this life stays: no socket, no file, no exception under way to this thread."""
        with self._lock:
            thread, self._thread = self._thread, 0
        if not thread:
            return
        if self._interrupted:
            # Taken back it would leave CPython looking for it at every step, for ever: slow, and endless under a
            # profiler. So this one, or the one that is still under way, is waited for.
            try:
                _interrupt(thread)
                while True:
                    pass
            except _LifeOver:
                pass
        self._console.end()
        self._hardware.over = self._hardware.over or "off"
        for opened in list(self._sockets):
            opened.close()
        for module in self._imports.modules.values():
            module.__dict__.clear()
        if self._runner is not None:
            self._flash.close()
            for number in self._pipe:
                os.close(number)

    def halt(self) -> None:
        """End the life now, whatever its code is doing."""
        self._halted.set()
        with self._lock:
            thread = self._thread
            if thread:
                self._hardware.over = self._hardware.over or "off"
            if thread and thread != threading.get_ident():
                self._interrupted = True
                _interrupt(thread)
        if thread == threading.get_ident():
            raise _LifeOver

    def type(self, text: str) -> None:
        """Feed the console's input."""
        with self._lock:
            if self._thread:
                console.feed(self._pipe[1], text)

    def _end(self, line: str) -> None:
        raise _LifeOver(line)

    def _run_file(self, name: str, scope: dict[str, Any]) -> bool:
        try:
            self._execfile(name, scope)
        except SystemExit:
            self._hardware.end("soft reset")
        except Exception as error:
            self._print_exception(error)
            return False
        return True

    def _execfile(self, name: str, scope: dict[str, Any]) -> None:
        with self._files.open(name, "rb") as file:
            source = file.read()
        scope["__builtins__"] = self._imports.builtins
        exec(self._imports.code(source, name), scope)

    # builtins

    def _print(self, *values: Any, sep: str = " ", end: str = "\n", file: Any = None) -> None:
        self._hardware.alive()
        text = sep.join(str(value) for value in values) + end
        (file or self._console).write(text)

    def _input(self, prompt: str = "") -> str:
        self._console.write(prompt)
        return self._stdin.readline().rstrip("\n")

    def _print_exception(self, error: BaseException, file: Any = None) -> None:
        lines = ["Traceback (most recent call last):"]
        for frame in traceback.extract_tb(error.__traceback__):
            if frame.filename not in _OURS:
                lines.append(f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}')
        lines.append(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
        (file or self._console).write("\n".join(lines) + "\n")

    # modules

    def _os(self) -> ModuleType:
        return module_of(
            "os",
            {
                **self._files.os_functions(),
                "urandom": os.urandom,
                "uname": lambda: ("esp32", "esp32", "1.25.0", "", ""),
                "sep": "/",
            },
        )

    def _sys(self) -> ModuleType:
        self._stdin = console.Input(self._pipe[0])

        def leave(status: Any = 0) -> None:
            raise SystemExit(status)

        return module_of(
            "sys",
            {
                "path": ["", ".frozen", "/lib"],
                "modules": self._imports.modules,
                "argv": [],
                "platform": "esp32",
                "byteorder": "little",
                "maxsize": 0x7FFFFFFF,
                "version": "3.4.0; MicroPython v1.25.0",
                "version_info": (3, 4, 0),
                "implementation": _Implementation(),
                "stdin": self._stdin,
                "stdout": self._console,
                "stderr": self._console,
                "print_exception": self._print_exception,
                "exit": leave,
            },
        )


class _Implementation:
    name = "micropython"
    version = (1, 25, 0, "")
    _machine = "Generic ESP32 module with ESP32"
    _mpy = 11014
