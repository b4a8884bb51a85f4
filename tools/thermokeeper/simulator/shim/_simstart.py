"""What stock firmware does between the bootloader and boot.py, on unix MicroPython: modules, file system, path.

Run as `micropython -m _simstart`, in the heap that the device code gets as well.
"""

import gc
import os
import sys

import _sim
import _simtime
import micropython
import vfs
from _simboot import boot
from _simmemory import AT_PROMPT

board = _sim.board()
sys.modules["time"] = _simtime  # from here on `import time` is the board's

import _simgc  # noqa: E402
import _simselect  # noqa: E402
import _simsocket  # noqa: E402
import _simssl  # noqa: E402
import _simthread  # noqa: E402

sys.modules["gc"] = _simgc
sys.modules["select"] = _simselect
sys.modules["socket"] = _simsocket
sys.modules["ssl"] = _simssl
sys.modules["_thread"] = _simthread

for name in ("machine", "network", "onewire", "ds18x20", "ntptime", "esp32"):
    __import__(name)
del name
if board.turn:  # in virtual time the board stands still behind each line until it has been followed
    import builtins

    _print = print

    def _say(*values, **options):
        board.alive()
        _print(*values, **options)
        board.turn()

    builtins.print = _say
vfs.umount("/")
sys.path[:] = ["", ".frozen", "/lib"]
sys.argv[:] = []
gc.collect()
board.heap_base = gc.mem_alloc()
board.tell("base %d" % board.heap_base)


def heap_on_a_chip():
    """What would be in use on a board, where objects take half as much, and text and code the same: 2/3 in all."""
    return AT_PROMPT + max(0, gc.mem_alloc() - board.heap_base) * 2 // 3


board.memory.start(heap_on_a_chip, gc.collect, _simsocket.watch)


def run(name, main):
    """Run a file of the vfs partition; False if it ended with an exception."""
    micropython.kbd_intr(3)  # as before each file on a board (shared/runtime/pyexec.c)
    try:
        execfile(name, main)  # noqa: F821
    except SystemExit:
        board.end("soft reset")
    except BaseException as error:
        sys.print_exception(error)
        return False
    return True


boot(board, sys.modules["esp32"].Partition, vfs, os, run)
