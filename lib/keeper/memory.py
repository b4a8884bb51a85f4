"""What memory there is: MicroPython's heap, and ESP-IDF's, out of which come Wi-Fi, sockets and TLS.

The two share what the chip has. A heap that has once grown to a third area leaves the IDF nothing, and then nothing
works any more, for reasons that name everything but memory: names that can't be resolved, certificates that are
invalid. So who meets such a reason asks here first. Figures: docs/memory.md. Must not know what memory is used for.
"""

import gc

# In bytes: (free in all, in one piece) of the IDF's memory that a connection takes.
PLAIN = 5_000, 2_000
TLS = 31_000, 17_000


def idf():
    """(free, largest piece, least free since the start) of the IDF's memory; None where there is none."""
    try:
        from esp32 import HEAP_DATA, idf_heap_info
    except ImportError:
        return None
    free = largest = least = 0
    for _, now, piece, low in idf_heap_info(HEAP_DATA):
        free += now
        least += low
        largest = max(largest, piece)
    return free, largest, least


def heap():
    """(in use, in all) of MicroPython's heap. What `gc.mem_free` counts beside it is the IDF's largest piece."""
    gc.collect()
    used = gc.mem_alloc()
    found = idf()
    return used, used + gc.mem_free() - (found[1] if found else 0)


def lack(needed):
    """What is missing for `needed`, one of the pairs above, in words; "" if nothing is."""
    found = idf()
    if found is None or (found[0] >= needed[0] and found[1] >= needed[1]):
        return ""
    return "not enough memory: %d bytes are free, %d in one piece" % found[:2]
