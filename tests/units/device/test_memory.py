"""A shortage of memory is called by its name, and noticed when it lasts."""

import esp32

from keeper import memory

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


def test_a_shortage_that_passes_is_no_reason_for_a_restart():
    watch = memory.Watch()
    with idf((900, 484, 300)):
        assert watch.lasting(0) == ""
        assert watch.lasting(9 * MINUTE_MS) == ""
    with idf((40_000, 30_000, 300)):
        assert watch.lasting(10 * MINUTE_MS) == ""
    with idf((900, 484, 300)):
        assert watch.lasting(11 * MINUTE_MS) == ""
        assert watch.lasting(20 * MINUTE_MS) == ""
        assert "900 bytes are free" in watch.lasting(21 * MINUTE_MS)


def test_a_heap_that_took_a_third_area_is_a_shortage():
    watch = memory.Watch()
    with idf((14_000, 12_000, 300)):
        memory.heap = lambda: (60_000, 160_000)
        assert watch.lasting(0) == ""
        assert watch.lasting(10 * MINUTE_MS) == "the heap has grown to 160000 bytes"


def test_a_chip_with_more_memory_may_have_a_larger_heap():
    watch = memory.Watch()
    with idf((90_000, 60_000, 50_000)):
        memory.heap = lambda: (60_000, 131_000)  # an S3's two areas
        assert watch.lasting(0) == watch.lasting(60 * MINUTE_MS) == ""
