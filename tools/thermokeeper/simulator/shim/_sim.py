"""The hardware of one simulated board: flash, power, clock, and the line to the host that runs it.

Runs on unix MicroPython and CPython alike; the modules a board has (esp32, machine, ...) are built on it. It must
not know who listens: `tell(line)` sends a line to the runner, `end(line)` sends it and ends this life for good.
Without a runner it takes flash and world from the environment (TK_SIM_FLASH, ...), so a plain test can use it.
"""

import binascii
import gc
import json
import os
import struct
import time

from _simmemory import Memory
from _simwaiting import Waiting

SECTOR = 4096
BLANK = b"\xff" * SECTOR
_TABLE = 0x8000
_TABLE_SIZE = 0xC00
_AND_PIECE = 512
_SLICE_MS = 50  # of a wait, so that its end can be noticed
_LOOKS = 50  # at the clock take a millisecond of virtual time, so that a loop which waits for a moment sees it come
_EPOCH_2000 = 946684800

# What ESP-IDF answers, negated as MicroPython raises it.
_NAMES = {
    -1: "ESP_FAIL",
    -258: "ESP_ERR_INVALID_ARG",
    -260: "ESP_ERR_INVALID_SIZE",
    -261: "ESP_ERR_NOT_FOUND",
    -4354: "ESP_ERR_NVS_NOT_FOUND",
    -4357: "ESP_ERR_NVS_NOT_ENOUGH_SPACE",
    -4361: "ESP_ERR_NVS_KEY_TOO_LONG",
    -4364: "ESP_ERR_NVS_INVALID_LENGTH",
    -4366: "ESP_ERR_NVS_VALUE_TOO_LONG",
    -5379: "ESP_ERR_OTA_VALIDATE_FAILED",
}


def fail(code):
    """Raise what MicroPython raises for an ESP-IDF error: OSError(negative number, its name)."""
    raise OSError(code, _NAMES.get(code, "ESP_ERR"))


class Board:
    """One life: from power on (or reset) to the next reset or power cut."""

    def __init__(
        self, flash, tell, end, read_world, running, cause=1, operations=0, rtc=b"", clock=None, memory="roomy"
    ):
        self.flash = flash  # file-like: seek, readinto, write
        self.tell = tell
        self._end = end
        self._read_world = read_world  # gives the world (dict); called often, so it has to be cheap
        self.running = running  # label of the partition that was booted
        self.cause = cause
        self.operations = operations
        self.rtc = rtc
        self.memory = Memory(memory, tell)
        self.over = None  # the last line, once this life has ended
        # Virtual time: only what is waited for passes, and each look at the clock takes a little. What is due at a
        # moment of it is the runner's business: the board stops there, as it does at each line that it prints.
        self.virtual = False
        self.skipped_ms = 0  # whole milliseconds that passed without anybody waiting
        self.turn = None  # stands still until the runner has followed; None: nobody follows
        self.connections = 0  # how many sockets it has opened in this life
        self._looks = 0
        self.judge = False  # whether the watchdog is judged here, and not by the runner
        self.until_ms = None  # when the runner wants to stop, by `now_ms`
        self.origin = 0.0  # of virtual time, by the host's clock
        self._brownout = False
        self.heap_base = 0
        self.heap_peak = 0
        self.wdt_ms = 0
        self._fed = 0
        self._told = 0
        # Seconds to add to the host's clock; a board that was without power starts on 1 January 2000.
        self.clock = _EPOCH_2000 - time.time() if clock is None else clock
        self._new = clock is None
        self.partitions = self._read_table()

    # the life

    def end(self, line):
        """End this life: nothing of it comes back from here, and the hardware answers no more."""
        if self.over is None:
            self.over = line
        self._end(self.over)

    def alive(self):
        """Called by everything that touches hardware: what runs on after the end (finally, except) gets no further."""
        if self.over is not None:
            self._end(self.over)
        if self.judge:
            now_ms = self.now_ms()
            if self.wdt_ms and now_ms - self._fed > self.wdt_ms:
                self.end("watchdog")
            if self.until_ms is not None and now_ms > self.until_ms:
                self.end("time")

    @property
    def world(self):
        self.alive()
        return self._read_world()

    # time

    def live_virtually(self, origin, skipped_ms, until_ms, turn):
        """Only what is waited for passes. origin: time.time() at power-on; skipped_ms: what has passed since."""
        self.virtual = self.judge = True
        self.origin = origin
        self.skipped_ms = skipped_ms
        self.until_ms = until_ms
        self.turn = turn
        if self._new:
            self.clock = _EPOCH_2000 - origin

    def now_ms(self):
        """Milliseconds since some moment."""
        if self.virtual:
            self._looks += 1
            if self._looks >= _LOOKS:
                self._looks -= _LOOKS
                self.skipped_ms += 1
            return self.skipped_ms
        return _monotonic_ms() + int(self.skipped_ms)

    def now_us(self):
        """The same in microseconds, of virtual time."""
        return self.now_ms() * 1000 + self._looks * 1000 // _LOOKS

    def wait_ms(self, duration_ms):
        """Let time pass."""
        self.alive()
        self.memory.look()
        if self.virtual:
            end_ms = self.skipped_ms + int(duration_ms)
            self._looks += int((duration_ms - int(duration_ms)) * _LOOKS)
            while self.pass_ms(end_ms - self.skipped_ms):
                pass
            return
        while duration_ms > 0:
            time.sleep(min(duration_ms, _SLICE_MS) / 1000)
            duration_ms -= _SLICE_MS
            self.alive()
            self.memory.look()

    def pass_ms(self, limit_ms):
        """Let virtual time pass, up to so much, or to what is due before; whether something was."""
        due_ms = self._line().get("due_ms") if self.turn else None
        due = due_ms is not None and due_ms <= self.skipped_ms + limit_ms
        passed_ms = max(0, due_ms - self.skipped_ms if due else limit_ms)  # a look may have gone beyond it
        left_ms = self.wdt_ms - (self.skipped_ms - self._fed)
        if self.wdt_ms and passed_ms > left_ms:
            passed_ms = left_ms + 1  # the watchdog bites in the middle of the wait
        self.skipped_ms += passed_ms
        self.alive()
        if due:
            self.turn()
        return due

    def waiting(self, look):
        """What a poll in virtual time waits with; look: see `Waiting`."""
        return Waiting(self, look)

    def is_quiet(self):
        """Whether nothing more comes on the connection that was opened last, before what is due."""
        return self._line().get("quiet") == self.connections

    def _line(self):
        return self._read_world().get("line") or {}

    def connect(self):
        """A socket is opened: who answers it has to know which, and when."""
        self.connections += 1
        if self.turn:
            self.turn()

    def host_time(self):
        """What a right clock says, in seconds since 1970."""
        if self.virtual:
            return self.origin + self.skipped_ms / 1000
        return time.time() + self.skipped_ms / 1000

    def unix_time(self):
        """What the board's clock says, in seconds since 1970; far off until something sets it."""
        self.alive()
        return self.host_time() + self.clock

    def set_unix_time(self, seconds):
        self.alive()
        self.clock = seconds - self.host_time()
        self.tell("clock %d" % int(self.clock))

    # watchdog

    def arm(self, timeout_ms):
        self.alive()
        self.wdt_ms = timeout_ms
        self._fed = self._told = self.now_ms()
        self.tell("wdt %d" % timeout_ms)

    def feed(self):
        self.alive()
        self.memory.look()
        self._fed = self.now_ms()
        # The host allows for this much; a line for each feeding would cost more than the rest of the loop.
        if not self.judge and self._fed - self._told >= min(250, self.wdt_ms // 4):
            self._told = self._fed
            self.tell("fed")

    # flash

    def read(self, address, buffer):
        """Fill `buffer` from `address`."""
        self.alive()
        self.flash.seek(address)
        view = memoryview(buffer)
        done = 0
        while done < len(view):
            count = self.flash.readinto(view[done:])
            if not count:
                self.end("panic: flash ends at %d" % (address + done))
            done += count

    def erase(self, address):
        """Erase the sector at `address`."""
        cut = self._operation("erase", address)
        if cut == "middle":
            self._put(address, self._torn_erase(address))
        elif cut != "before":
            self._put(address, BLANK)
        self._finish(cut, "erase_ms", 1)

    def program(self, address, data):
        """Program bytes: a 1 stays or becomes 0, a 0 stays 0."""
        cut = self._operation("program", address)
        if cut != "before":
            size = len(data)
            if cut == "middle":
                data = self._torn_program(address, data)
            view = memoryview(data)
            done = 0
            while done < size:
                piece = view[done : done + SECTOR]
                old = bytearray(len(piece))
                self.read(address + done, old)
                if old != memoryview(BLANK)[: len(old)]:
                    piece = _and(old, piece)
                self._put(address + done, piece)
                done += len(piece)
        self._finish(cut, "program_ms", len(data) / SECTOR)

    def _put(self, address, data):
        self.flash.seek(address)
        self.flash.write(data)

    def _operation(self, kind, address):
        """Count an operation and tell of it; the moment at which the power goes, or None."""
        world = self.world
        self.memory.look()
        number = self.operations
        self.operations = number + 1
        self.tell("op %s %d" % (kind, address))
        if world.get("measure_heap"):
            self._measure_heap()
        for cut in world.get("cuts") or ():
            if cut["operation"] == number:
                self._random = (cut.get("seed", 0) * 2654435761 + number * 40503 + 1) & 0x7FFFFFFF
                self._brownout = bool(cut.get("brownout"))
                return cut.get("moment", "before")
        return None

    def _finish(self, cut, timing, units):
        if cut:
            self.end("brownout" if self._brownout else "cut")
        timing = (self._read_world().get("flash") or {}).get(timing)
        if timing:
            self.wait_ms(timing * units)

    def _measure_heap(self):
        if not hasattr(gc, "mem_alloc"):
            return
        gc.collect()
        used = gc.mem_alloc() - self.heap_base
        if used > self.heap_peak:
            self.heap_peak = used
            self.tell("heap %d" % used)

    def _next(self, limit):
        self._random = (self._random * 1103515245 + 12345) & 0x7FFFFFFF
        return (self._random >> 8) % limit

    def _torn_erase(self, address):
        """A sector left in the middle of an erase: pieces of it are blank, as they were, or neither.

        The first piece is never as it was: a real erase works on the whole sector at once, and begins by clearing it.
        """
        data = bytearray(SECTOR)
        self.read(address, data)
        piece = 256
        for start in range(0, SECTOR, piece):
            fate = self._next(3)
            if fate == 0:
                data[start : start + piece] = BLANK[:piece]
            elif fate == 1 or start == 0:
                for index in range(start, start + piece):
                    data[index] = self._next(256)
        return data

    def _torn_program(self, address, data):
        """The part of `data` that got into flash: bytes up to one, some bits of that one, nothing behind it."""
        size = len(data)
        whole = self._next(size)
        torn = bytearray(size)
        torn[:whole] = data[:whole]
        torn[whole] = data[whole] | self._next(256)
        for index in range(whole + 1, size):
            torn[index] = 0xFF
        return torn

    # partition table

    def _read_table(self):
        """[(type, subtype, address, size, label, encrypted)], from the flash itself."""
        table = bytearray(_TABLE_SIZE)
        self.read(_TABLE, table)
        found = []
        for start in range(0, _TABLE_SIZE, 32):
            if table[start] != 0xAA or table[start + 1] != 0x50:
                break
            _, kind, subtype, address, size, label, flags = struct.unpack_from("<HBBII16sI", table, start)
            label = label.split(b"\x00")[0].decode()
            found.append((kind, subtype, address, size, label, bool(flags & 1)))
        return found


def _and(old, new):
    """`old & new`, byte by byte, by way of integers: a loop over bytes would be slow on MicroPython."""
    result = bytearray(len(old))
    for start in range(0, len(old), _AND_PIECE):
        end = min(start + _AND_PIECE, len(old))
        both = int.from_bytes(old[start:end], "little") & int.from_bytes(bytes(new[start:end]), "little")
        result[start:end] = both.to_bytes(end - start, "little")
    return result


if not hasattr(time, "monotonic_ns"):
    _ticks_ms = time.ticks_ms

    def _monotonic_ms():
        return _ticks_ms()
else:

    def _monotonic_ms():
        return time.monotonic_ns() // 1000000


class WorldFile:
    """The world as a file that the host rewrites: a version number, a CRC, and JSON; read again if that changed."""

    def __init__(self, path):
        self._file = open(path, "rb", 0) if path else None
        self._head = None
        self._world = {}

    def __call__(self):
        if self._file:
            self._file.seek(0)
            head = self._file.read(20)
            if head != self._head:
                text = self._file.read()
                try:
                    if binascii.crc32(text) == int(head[10:18], 16):
                        self._world = json.loads(text)
                        self._head = head
                except ValueError:
                    pass  # caught while it was being written: the former world holds a moment longer
        return self._world


_current = None


def board():
    """The board of this process."""
    global _current
    if _current is None:
        _current = from_environment()
    return _current


def attach(new_board):
    """Make `new_board` the board that the shim's modules drive."""
    global _current
    _current = new_board
    return new_board


def from_environment():
    """A board of what the runner (or a test) left in the environment."""
    path = os.getenv("TK_SIM_FLASH")
    if not path:
        raise OSError("TK_SIM_FLASH names no flash file")
    pipe = os.getenv("TK_SIM_CONTROL")
    control = open(int(pipe), "wb", 0) if pipe else None

    def tell(line):
        try:
            if control:
                control.write((line + "\n").encode())
        except OSError:
            die()  # the runner is gone: nobody would ever stop this board

    def end(line):
        tell("now %d" % found.skipped_ms)
        tell(line)
        die()

    def die():
        while True:  # the process is dead before the call returns: as abrupt as the real thing
            os.system("kill -9 $PPID")

    clock = os.getenv("TK_SIM_CLOCK")
    flash = open(path, "r+b", 0)
    found = Board(
        flash,
        tell,
        end,
        WorldFile(os.getenv("TK_SIM_WORLD")),
        os.getenv("TK_SIM_RUNNING") or "ota_0",
        int(os.getenv("TK_SIM_CAUSE") or 1),
        int(os.getenv("TK_SIM_OPERATIONS") or 0),
        binascii.unhexlify(os.getenv("TK_SIM_RTC") or ""),
        int(clock) if clock else None,
        os.getenv("TK_SIM_MEMORY") or "roomy",
    )
    found.origin = float(os.getenv("TK_SIM_ORIGIN") or 0)
    go = os.getenv("TK_SIM_GO")
    if go:
        until = os.getenv("TK_SIM_UNTIL")
        follower = open(int(go), "rb", 0)

        def turn():
            tell("turn %d %d" % (found.skipped_ms, found.connections))
            if not follower.read(1):
                die()

        skipped_ms = int(os.getenv("TK_SIM_SKIPPED") or 0)
        found.live_virtually(found.origin, skipped_ms, int(until) if until else None, turn)
    watchdog = os.getenv("TK_SIM_WDT")
    if watchdog:
        found.arm(int(watchdog))  # it survives a soft reset
    return found
