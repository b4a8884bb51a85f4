"""Runs a simulated board: power on, bootloader, stock start-up, the device's code, and again after every reset.

>>> board = Board(Path("flash.bin"), World(), runtime="micropython")
>>> for event in board.run(for_s=20):
...     print(event)

The device's code runs on unix MicroPython in a process of its own with the heap of a board, or on CPython: here, fast
and if wanted in virtual time, or in a process of its own (`runtimes`). What happens is told as events; nothing here
knows what the device's code is for.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thermokeeper.errors import ToolError
from thermokeeper.simulator import bootloader, shimcode
from thermokeeper.simulator.pauses import Pauses
from thermokeeper.simulator.runtimes import HereLife, Life, ProcessLife
from thermokeeper.simulator.world import World

PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = 1, 2, 3, 4, 5
MEMORY = "v1.25"  # what a board has unless it is said, of the shim's `_simmemory.FIRMWARE`
_POLL_S = 0.05


@dataclass(frozen=True)
class Event:
    """Something that happened to the board.

    kind: console (a line it printed), boot (a slot starts; text is its label), note (what the bootloader did), reset,
    watchdog, panic, sleep, cut, and, as the last one: repl (main.py ended), vfs (damaged file system), no-slot, off,
    time, until, boots.
    """

    kind: str
    text: str
    at_s: float

    def __str__(self) -> str:
        return (
            self.text if self.kind == "console" else f"-- {self.kind}: {self.text}" if self.text else f"-- {self.kind}"
        )


@dataclass(frozen=True)
class Operation:
    """One flash operation: number over all boots, erase or program, flash address, label of the partition."""

    number: int
    kind: str
    address: int
    partition: str


@dataclass(frozen=True)
class Memory:
    """The extremes that a board's memory has come to."""

    least: int  # bytes that ESP-IDF had free, region by region, as `sum(x[3] for x in esp32.idf_heap_info(...))`
    areas: int = 1  # of Python's heap, at most
    used: int = 0  # bytes of Python's heap, garbage included, at most; on CPython the declared figure
    unclosed: int = 0  # TLS objects that were left for the collector to close, the most in one life


class PowerCut(BaseException):
    """The power of a board in this process is gone; everything that touches its hardware raises this again."""


class Board:
    """One board: a flash file, the world around it, and what runs its code.

    runtime: "micropython" (a process), "cpython" (here) or "cpython-process". heap: limit of the MicroPython heap
    for the device's code; the simulator's own modules, which a board has in ROM, get `shimcode.HEAP_KIB` more.
    virtual_time (not "cpython-process"): only what is waited for takes time, and none of the host's; watchdog and clock
    go by it. The board stands still while its lines are followed, and while it waits for an answer (see `pauses`).
    memory: the firmware whose memory the board has, or "roomy": nothing ever runs short.
    sources (only "cpython"): host folders whose files stand for equal ones in flash, so that coverage can be measured.
    """

    def __init__(
        self,
        flash: Path,
        world: World | None = None,
        runtime: str = "micropython",
        heap: str = "256k",
        virtual_time: bool = False,
        sources: Sequence[Path] = (),
        memory: str = MEMORY,
    ) -> None:
        kinds = shimcode.ShimModules()["_simmemory"].FIRMWARE
        if memory not in kinds:
            raise ToolError(f"no memory `{memory}`: {', '.join(kinds)}")
        if runtime not in ("micropython", "cpython", "cpython-process"):
            raise ToolError(f"no runtime `{runtime}`: micropython, cpython or cpython-process")
        if virtual_time and runtime == "cpython-process":
            raise ToolError("virtual time needs the runtime cpython or micropython")
        self.flash = Path(flash)
        check_flash(self.flash)
        self.world = world or World()
        self.runtime = runtime
        self.heap = heap
        self.virtual_time = virtual_time
        self.sources = tuple(Path(source) for source in sources)
        self.memory_of = memory
        self.memory = Memory(sum(free for _, free in kinds[memory]))  # over all lives since this object was made
        self.operations: list[Operation] = []  # every flash operation since this object was made
        self.outcome = "never run"  # kind of the last event
        self.slot: str | None = None  # label of what was booted last
        self.boots = 0
        self.heap_peak_bytes = 0  # with the world's measure_heap: most heap in use, without the shim
        self.heap_shim_bytes = 0  # what the shim itself takes of the heap
        self._lock = threading.Lock()
        self._stop: str | None = None
        self._life: Life | None = None
        self._emit: Callable[[Event], None] = lambda event: None
        self._until: Callable[[Event], bool] | None = None
        self._started_s = 0.0
        self.rtc = b""  # this and the clock outlive a reset, not a power cut
        self.clock: int | None = None
        self.wdt_ms = 0  # of the watchdog that runs: a soft reset leaves it running
        self.pauses = Pauses(self.world)  # has the board's time, where that is virtual
        self._partitions: list[Any] = []

    # use

    def run(self, **options: Any) -> Generator[Event, None, None]:
        """`play` in a thread of its own; yields the events as they come. Leaving the loop switches the board off.

        In virtual time the board stands still until the next event is asked for.
        """
        events: queue.Queue[Event | BaseException | None] = queue.Queue()
        asked = threading.Semaphore(1)

        def happened(event: Event) -> None:
            if self.virtual_time:
                asked.acquire()
            events.put(event)

        def work() -> None:
            try:
                self.play(happened, **options)
                events.put(None)
            except BaseException as error:
                events.put(error)

        thread = threading.Thread(target=work, name="simulated board", daemon=True)
        thread.start()
        try:
            while (event := events.get()) is not None:
                if isinstance(event, BaseException):
                    raise event
                yield event
                asked.release()
        finally:
            self.power_off()
            while thread.is_alive():
                asked.release()  # whatever it still has to tell
                thread.join(_POLL_S)

    def play(
        self,
        on_event: Callable[[Event], None] | None = None,
        *,
        for_s: float | None = None,
        wall_s: float | None = None,
        max_boots: int = 100,
        until: Callable[[Event], bool] | None = None,
        stay_cut: bool = False,
    ) -> str:
        """Power on, run until something ends it, and return what (the kind of the last event).

        for_s: board's time after which the power is switched off; wall_s: the same by the host's clock. until: stop
        at the first event for which it is true. stay_cut: a planned power cut ends it (else the power comes back).
        """
        if self._life:
            raise ToolError("this board is running already")
        self._emit = on_event or (lambda event: None)
        self._until = until
        self._stop = None
        self._started_s = time.monotonic()
        self.origin_s = time.time()
        self.rtc, self.clock = b"", None
        self.pauses = Pauses(self.world)
        self.world.line = self.pauses.line
        limit_s = min(
            (limit for limit in (wall_s, None if self.virtual_time or for_s is None else for_s) if limit is not None),
            default=None,
        )
        deadline = _Deadline(limit_s, lambda: self._halt("time")) if limit_s is not None else None
        self.until_ms = int(for_s * 1000) if self.virtual_time and for_s else None
        try:
            self._lives(max_boots, stay_cut)
        finally:
            if deadline:
                deadline.cancel()
            self._life = None
        self.tell(self.outcome, "")
        return self.outcome

    def power_off(self) -> None:
        """Switch the power off now; `run` or `play` then end with `off`."""
        self._halt("off")

    def type(self, line: str, end: str = "\n") -> None:
        """Type a line on the board's console; while the board is off, or its buffer full, nobody hears it."""
        with self._lock:
            life = self._life
        if life:
            life.type(line + end)

    # lives

    def _lives(self, max_boots: int, stay_cut: bool) -> None:
        cause = PWRON_RESET
        through_bootloader = True
        for _ in range(max_boots):
            if self._stop:
                self.outcome = self._stop
                return
            if through_bootloader:
                end = self._bootloader()
            else:
                end = ""
            if not end:
                self.boots += 1
                self.tell("boot", self.slot or "")
                end = self._run_life(cause)
            word, _, rest = end.partition(" ")
            if end != "soft reset":
                self.wdt_ms = 0
            if self._stop:
                self.outcome = self._stop
                return
            through_bootloader = True
            if end in ("cut", "brownout"):
                number = len(self.operations) - 1
                self.tell(end, f"at flash operation {number}")
                if stay_cut:
                    self.outcome = end
                    return
                cause = PWRON_RESET  # MicroPython has no other word for a brownout
                if end == "cut":
                    self.rtc, self.clock = b"", None
            elif end == "reset":
                self.tell("reset", "machine.reset()")
                cause = HARD_RESET
            elif end == "soft reset":
                self.tell("reset", "soft")
                cause, through_bootloader = SOFT_RESET, False
            elif word == "deepsleep":
                self.tell("sleep", f"{rest} ms")
                self.sleep(int(rest))
                cause = DEEPSLEEP_RESET
            elif end == "watchdog":
                self.tell("watchdog", "not fed in time")
                cause = WDT_RESET
            elif word.startswith("panic"):
                self.tell("panic", end.partition(": ")[2])
                cause = HARD_RESET
            else:
                self.outcome = {"vfs damaged": "vfs"}.get(end, end)
                return
        self.outcome = "boots"

    def _bootloader(self) -> str:
        """Let the bootloader choose; "" if something boots, else how this power-on ended."""
        shim = shimcode.ShimModules()
        sim = shim["_sim"]
        with self.flash.open("r+b", buffering=0) as file:
            try:
                board = sim.Board(
                    file, self.heard, self._raise_end, lambda: self.world.settings, "", 1, len(self.operations)
                )
                sim.attach(board)
                self._partitions = board.partitions
                chosen = bootloader.select(board, shim["_simota"])
            except PowerCut as end:
                return str(end)
        for note in chosen.notes:
            self.tell("note", note)
        self.slot = chosen.label
        if chosen.label is None:
            self.tell("note", chosen.reason)
            return "no-slot"
        return ""

    @staticmethod
    def _raise_end(line: str) -> None:
        raise PowerCut(line)

    def _run_life(self, cause: int) -> str:
        life = self._new_life(cause)
        with self._lock:
            if self._stop:
                return "off"
            self._life = life
        try:
            return life.run()
        finally:
            with self._lock:
                self._life = None

    def _new_life(self, cause: int) -> Life:
        return HereLife(self, cause) if self.runtime == "cpython" else ProcessLife(self, cause)

    # for the life that runs

    @property
    def stopped(self) -> bool:
        """Whether the power is off, or to be."""
        return self._stop is not None

    def sleep(self, duration_ms: int) -> None:
        """Let the board's time pass, or as much of it as there is before the power goes."""
        if self.virtual_time:
            self.follow(self.pauses.now_ms + duration_ms, self.pauses.connection)
            return
        end_s = time.monotonic() + duration_ms / 1000
        while not self._stop and time.monotonic() < end_s:
            time.sleep(min(_POLL_S, max(0.0, end_s - time.monotonic())))

    def heard(self, line: str) -> None:
        """A line from the board's hardware."""
        word, _, rest = line.partition(" ")
        if word == "op":
            kind, _, address = rest.partition(" ")
            self.operations.append(
                Operation(len(self.operations), kind, int(address), self._partition_at(int(address)))
            )
        elif word == "heap":
            self.heap_peak_bytes = max(self.heap_peak_bytes, int(rest))
        elif word == "base":
            self.heap_shim_bytes = int(rest)
        elif word == "memory":
            self._account(Memory(*map(int, rest.split())))
        elif word == "rtc":
            self.rtc = bytes.fromhex(rest)
        elif word == "clock":
            self.clock = int(rest)
        elif word == "now":
            self.follow(int(rest), self.pauses.connection)

    def follow(self, now_ms: int, connection: int) -> None:
        """The board has come to this moment of its time, and waits until what is due has been done."""
        self.pauses.follow(now_ms, connection)

    def _account(self, now: Memory) -> None:
        before = self.memory
        self.memory = Memory(
            min(before.least, now.least),
            max(before.areas, now.areas),
            max(before.used, now.used),
            max(before.unclosed, now.unclosed),
        )

    def _partition_at(self, address: int) -> str:
        for _, _, start, size, label, _ in self._partitions:
            if start <= address < start + size:
                return str(label)
        return ""

    def tell(self, kind: str, text: str) -> None:
        """Something happened: it becomes an event."""
        at_s = self.pauses.now_ms / 1000 if self.virtual_time else time.monotonic() - self._started_s
        event = Event(kind, text, at_s)
        self._emit(event)
        if self._until and not self._stop and self._until(event):
            self._halt("until")

    def _halt(self, why: str) -> None:
        with self._lock:
            if self._stop is None:
                self._stop = why
            life = self._life
        if life:
            life.halt()


class _Deadline:
    """A timer that is cheap to cancel."""

    def __init__(self, after_s: float, call: Callable[[], None]) -> None:
        self._timer = threading.Timer(max(0.0, after_s), call)
        self._timer.daemon = True
        self._timer.start()

    def cancel(self) -> None:
        self._timer.cancel()


def check_flash(path: Path) -> None:
    """ToolError unless the file is a flash image with a partition table."""
    try:
        with path.open("rb") as file:
            file.seek(0x8000)
            head = file.read(2)
    except OSError as error:
        raise ToolError(f"{path}: can't be read: {error.strerror}") from None
    if head != b"\xaa\x50":
        raise ToolError(f"{path}: no partition table at 0x8000; make a flash image with `thermokeeper image`")
