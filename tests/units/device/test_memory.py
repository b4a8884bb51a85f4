"""A shortage of memory is called by its name, and noticed when it lasts."""

import esp32

from fake_device import clock_of
from keeper import memory, uptime
from thermometer.watching.looks import _short_of_memory

MINUTE_MS = 60_000


class idf:
    """`with idf((free, largest, least), ...):` the regions of ESP-IDF's memory."""

    def __init__(self, *regions):
        self._regions = [(free * 2, free, largest, least) for free, largest, least in regions]

    def __enter__(self):
        self._real = esp32.idf_heap_info
        esp32.idf_heap_info = lambda capability: self._regions
        self._heap = memory.heap
        memory.heap = lambda: (60_000, 112_000)

    def __exit__(self, error_type, error, trace):
        esp32.idf_heap_info = self._real
        memory.heap = self._heap
        return False


def test_regions_are_added_up_and_the_largest_piece_is_one_of_them():
    with idf((1000, 800, 500), (30_000, 20_000, 9_000)):
        assert memory.idf() == (31_000, 20_000, 9_500)


def test_enough_is_no_lack_and_pieces_count_as_well_as_the_sum():
    with idf((40_000, 20_000, 0)):
        assert memory.lack(memory.PLAIN) == ""
        assert memory.lack(memory.TLS) == ""
    with idf((40_000, 9_000, 0)):
        assert memory.lack(memory.TLS) == "not enough memory: 40000 bytes are free, 9000 in one piece"
    with idf((400, 300, 0)):
        assert memory.lack(memory.PLAIN) == "not enough memory: 400 bytes are free, 300 in one piece"


def look(watched, after_ms=0):
    """What is short, so much later."""
    CLOCK[0].pass_ms(after_ms)
    return _short_of_memory(watched)


CLOCK = [None]


def test_a_shortage_that_passes_is_no_reason_for_a_restart():
    watched = {}
    with clock_of(uptime) as CLOCK[0]:
        with idf((900, 484, 300)):
            assert look(watched) == look(watched, 9 * MINUTE_MS) == ""
        with idf((40_000, 30_000, 300)):
            assert look(watched, MINUTE_MS) == ""
        with idf((900, 484, 300)):
            assert look(watched, MINUTE_MS) == look(watched, 9 * MINUTE_MS) == ""
            assert "900 bytes are free" in look(watched, MINUTE_MS)


def test_a_heap_that_took_a_third_area_is_a_shortage():
    watched = {}
    with clock_of(uptime) as CLOCK[0], idf((14_000, 12_000, 300)):
        memory.heap = lambda: (60_000, 160_000)
        assert look(watched) == ""
        assert look(watched, 10 * MINUTE_MS) == "memory: the heap has grown to 160000 bytes"


def test_a_chip_with_more_memory_may_have_a_larger_heap():
    watched = {}
    with clock_of(uptime) as CLOCK[0], idf((90_000, 60_000, 50_000)):
        memory.heap = lambda: (60_000, 131_000)  # an S3's two areas
        assert look(watched) == look(watched, 60 * MINUTE_MS) == ""
