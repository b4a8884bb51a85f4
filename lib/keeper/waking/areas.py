"""The heap's second area gets 46 KB, not 56, because TLS needs the rest: until it is there a thread parts the memory.

The radio has to be on already: it takes 36 KB in large pieces, and Python's heap would take them, and never give back.
docs/decisions/0009 has the reasons for the sizes. It must not know what the memory is used for.
"""

import _thread
import gc
import time

from keeper.console import say

_FIRST_AREA = 56_000  # of the heap
_SECOND_AREA = 47_104
_HOLD_MS = 20_000
_STACK = 5120


def part_memory():
    """Part the largest piece of memory by a thread's stack: one side is the heap's, the other the IDF's."""
    import esp32

    largest = max([one[2] for one in esp32.idf_heap_info(esp32.HEAP_DATA)])
    if largest < _SECOND_AREA + 4 * _STACK:
        return
    gate = _thread.allocate_lock()
    gate.acquire()
    try:
        _thread.stack_size(largest - _SECOND_AREA - 2 * _STACK)
        _thread.start_new_thread(_pass, (gate,))
        _thread.stack_size(_STACK)
        _thread.start_new_thread(_wait_for_second_area, ())
    except OSError as error:  # with PSRAM the largest piece is where no stack can be, and nothing runs short
        say("memory", "stays in one piece: %s" % error)
    finally:
        _thread.stack_size(0)
        gate.release()
    time.sleep_ms(50)  # until the first one's stack is free again


def _pass(gate):
    gate.acquire()


def _wait_for_second_area():
    for _ in range(0, _HOLD_MS, 20):
        if gc.mem_alloc() > _FIRST_AREA:
            return
        time.sleep_ms(20)
