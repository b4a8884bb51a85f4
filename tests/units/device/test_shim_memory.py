"""The memory of the simulated board, against what stock firmware v1.25 did on an emulated ESP32."""

import _simmemory
from _simmemory import Heap, Memory, Pool


def _pool():
    pool = Pool(_simmemory.FIRMWARE["v1.25"])
    pool.take(_simmemory.NETWORK)
    return pool


def _told():
    told = []
    return told, Memory("v1.25", told.append)


def _near(value, measured, off=300):
    assert measured - off <= value <= measured + off, (value, measured)


def test_the_pool_at_the_prompt():
    pool = Pool(_simmemory.FIRMWARE["v1.25"])
    _near(pool.free, 143476, 0)
    assert pool.info()[3] == (113840, 112968, 110592, 112968)
    assert pool.largest == 110592
    _near(_pool().free, 139188)


def test_v1_26_has_less():
    assert Pool(_simmemory.FIRMWARE["v1.25"]).free - Pool(_simmemory.FIRMWARE["v1.26"]).free == 3300


def test_small_pieces_come_from_the_small_regions_and_what_is_given_back_goes_where_it_was():
    pool = _pool()
    before = pool.info()
    taken = pool.take(30000)
    assert [row[1] for row in pool.info()[:3]] == [0, 0, 0]
    pool.give(taken)
    after = pool.info()
    assert [row[:3] for row in after] == [row[:3] for row in before]
    assert (
        sum([row[3] for row in after])
        == pool.least
        == before[0][1] + before[1][1] + before[2][1] + before[3][1] - 30000
    )


def test_one_piece_needs_one_block():
    pool = _pool()
    assert pool.take(120000, 111000) is None
    assert pool.take(150000) is None
    assert pool.take(20000, 17000)
    assert pool.info()[3][1] == 112968 - 17000 and pool.info()[3][1] == pool.info()[3][3]


def test_a_dip_is_remembered_and_takes_no_more_than_there_is():
    pool = _pool()
    free = pool.free
    pool.dip(1000)
    assert (pool.free, pool.least) == (free, free - 1000)
    pool.dip(free + 1)
    assert (pool.free, pool.least) == (free, 0)


def test_the_heap_grows_as_on_the_chip():
    pool = _pool()
    heap = Heap(pool)
    totals, left = [heap.total], [pool.free]
    while heap.grow(1000):
        totals.append(heap.total)
        left.append(pool.free)
    assert totals == [56000, 112000, 165952, 179904, 190848]
    assert left[0] - left[1] == 57364
    assert pool.largest < 1000 + 2048


def test_the_third_area_takes_what_the_radio_has_left():
    pool = _pool()
    heap = Heap(pool)
    pool.take(_simmemory.WLAN + _simmemory.RADIO + _simmemory.ACTIVE)
    assert heap.grow(16) and heap.grow(16) and not heap.grow(16)
    assert len(heap.areas) == 3
    assert pool.free < 1000


def test_a_large_object_gets_an_area_that_holds_it():
    pool = _pool()
    heap = Heap(pool)
    free = pool.free
    assert heap.grow(80000)
    assert free - pool.free == 80000 + 2048 + 4
    assert 80000 <= heap.areas[1] < 80200
    assert not Heap(_pool()).grow(110000)


def test_an_area_goes_back_when_nothing_can_be_left_in_it_and_the_first_never():
    pool = _pool()
    heap = Heap(pool)
    free = pool.free
    heap.grow(16)
    heap.shrink(50000)
    assert len(heap.areas) == 2
    heap.shrink(3000)
    assert (heap.areas, pool.free) == ([56000], free)
    heap.shrink(0)
    assert heap.areas == [56000]


def _at_work(memory, used):
    """As after the start: so much of the heap is in use, and the board is in a network."""
    memory.start(lambda: used[0])
    assert memory.once("network", _simmemory.NETWORK) and memory.once("wlan", _simmemory.WLAN)
    assert memory.once("radio", _simmemory.RADIO) and memory.once("active", _simmemory.ACTIVE, _simmemory.CALIBRATION)
    assert memory.once("joined", _simmemory.JOINED)


def test_a_life_by_http_and_one_by_https_have_the_least_that_was_measured():
    told, memory = _told()
    _at_work(memory, [66000])
    _near(memory.pool.free, 39672)
    assert memory.open_socket(3)
    _near(memory.pool.free, 39136, 400)
    memory.look()
    _near(memory.pool.least, 31500, 700)
    memory.close_socket(3)
    context = memory.new_context()
    assert memory.trust(context)
    _near(memory.pool.free, 38676, 300)
    assert memory.open_socket(3)
    held = memory.secure_socket(3)
    _near(memory.pool.free, 15524)
    assert memory.shake_hands(held)
    _near(memory.pool.free, 12876)
    memory.look()
    _near(memory.pool.least, 6900)
    assert told[-1] == "memory %d 2 66000 0" % memory.pool.least
    memory.release(held)
    memory.close_socket(3)
    _near(memory.pool.free, 38548)
    _near(memory.pool.largest, 22528, 0)


def test_a_second_tls_connection_finds_its_piece_and_a_second_at_once_does_not():
    _, memory = _told()
    _at_work(memory, [66000])
    for _ in range(3):
        held = memory.secure_socket(3)
        assert memory.shake_hands(held)
        assert memory.secure_socket(4) is None
        memory.release(held)


def test_tls_that_was_not_closed_is_kept_until_it_is_collected():
    told, memory = _told()
    _at_work(memory, [66000])
    held = memory.secure_socket(3)
    memory.look()
    free = memory.pool.free
    held.dropped = True  # the program has let go of it, and the collector will see
    memory.collect()
    assert memory.pool.free == free + _simmemory.TLS
    assert told[-1].endswith(" 1")
    memory.release(held)
    assert memory.pool.free == free + _simmemory.TLS


def test_a_want_of_memory_collects_first():
    _, memory = _told()
    _at_work(memory, [66000])
    first = memory.secure_socket(3)

    def collect():
        first.dropped = True

    memory.start(lambda: 66000, collect)
    assert memory.secure_socket(4)


def test_live_memory_makes_the_heap_grow_and_garbage_does_not():
    told, memory = _told()
    used = [70000]
    garbage = [20000]

    def collect():
        used[0] -= garbage[0]

    memory.start(lambda: used[0], collect)
    assert memory.heap.total == 56000
    garbage[0] = 0
    used[0] = 70000
    memory.look()
    assert memory.heap.total == 112000
    used[0] = 120000
    memory.look()
    assert len(memory.heap.areas) == 3
    assert told[-1] == "memory %d 3 120000 0" % memory.pool.least
    used[0] = 200000
    try:
        memory.look()
    except MemoryError:
        return
    raise AssertionError("it found memory")


def test_with_120_kb_in_use_the_radio_finds_none():
    _, memory = _told()
    used = [70000]
    memory.start(lambda: used[0])
    assert memory.once("network", _simmemory.NETWORK) and memory.once("wlan", _simmemory.WLAN)
    used[0] = 120000
    assert not memory.once("active", _simmemory.ACTIVE, _simmemory.CALIBRATION)
    assert not memory.open_socket(3)
    assert memory.secure_socket(3) is None
    memory.pool.take(memory.pool.free - 100)
    assert not memory.room_for_an_address()


def test_too_little_for_a_handshake_is_not_enough():
    _, memory = _told()
    _at_work(memory, [66000])
    memory.pool.take(memory.pool.free - _simmemory.TLS - _simmemory.HANDSHAKE + 100)
    assert memory.shake_hands(memory.secure_socket(3)) is False


def test_a_roomy_board_lacks_nothing():
    memory = Memory("roomy", lambda line: None)
    memory.start(lambda: 400000)
    assert memory.pool.free > 3000000
