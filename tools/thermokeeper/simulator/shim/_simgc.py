"""`gc` of the simulated board: the heap as the chip would have it.

On MicroPython it collects for real. CPython frees objects by itself: there only what they had beside Python's heap
waits to be collected, and the heap's figures are declared.
"""

import gc as _host

import _sim

_LARGER = 4

if hasattr(_host, "mem_alloc"):
    from gc import disable, enable, isenabled

    def threshold(amount=-1):
        """Bytes of the chip between two collections. What it allocates, and this shim beside it, takes more here."""
        if amount < 0:
            return _host.threshold() // _LARGER
        return _host.threshold(amount * _LARGER)

else:

    def enable():
        pass

    disable = enable

    def isenabled():
        return True

    def threshold(amount=-1):
        return -1


_OWN = 512  # bytes that looking itself may take


def collect():
    _sim.board().memory.collect()
    return 0


def mem_alloc():
    """Bytes in use, garbage included."""
    return _looked_at().used


def mem_free():
    """What is free in the heap, and the largest block that it could still take from ESP-IDF."""
    memory = _looked_at()
    return memory.heap.total - memory.used + memory.pool.largest


def _looked_at():
    """The account of now. What looking has added doesn't count: the two figures above have to fit together."""
    memory = _sim.board().memory
    before = memory.used
    memory.look()
    if 0 < memory.used - before < _OWN:
        memory.used = before
    return memory
