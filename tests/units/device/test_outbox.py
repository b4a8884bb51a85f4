"""Readings that wait: in order, dated, never lost between a send and its answer."""

from thermometer.measuring.outbox import CAPACITY, Outbox


class Uptime:
    def __init__(self, now_ms=0):
        self.now_ms = now_ms

    def ms(self):
        return self.now_ms


def filled(values, capacity=4):
    """An outbox with one reading in each second, and its time."""
    uptime = Uptime()
    outbox = Outbox(capacity, uptime.ms)
    for value in values:
        uptime.now_ms += 1000
        outbox.put(value)
    return outbox, uptime


def values(outbox, n=100):
    return [value for value, age_ms in outbox.peek(n)]


def test_readings_come_out_in_order_with_their_age():
    outbox, uptime = filled([20.0625, 21.5])
    uptime.now_ms += 500
    assert outbox.peek(10) == [(20.0625, 1500), (21.5, 500)]
    assert outbox.peek(1) == [(20.0625, 1500)]
    assert len(outbox) == 2


def test_a_reading_put_late_is_dated_by_when_it_was_taken():
    outbox, uptime = filled([])
    uptime.now_ms = 100
    outbox.put(1.0, 750)
    assert outbox.peek(1) == [(1.0, 750)]


def test_a_full_outbox_loses_the_oldest_and_counts_it():
    outbox, _ = filled([1, 2, 3, 4, 5, 6])
    assert values(outbox) == [3, 4, 5, 6]
    assert outbox.dropped == 2
    assert len(outbox) == 4


def test_nothing_is_removed_before_it_was_acknowledged():
    outbox, _ = filled([1, 2, 3])
    assert values(outbox, 2) == [1, 2]
    assert values(outbox, 2) == [1, 2]
    outbox.drop(2)
    assert values(outbox) == [3]
    assert outbox.dropped == 0


def test_readings_that_arrive_while_a_send_is_under_way_are_not_dropped_with_it():
    outbox, _ = filled([1, 2, 3, 4])
    assert values(outbox, 3) == [1, 2, 3]
    outbox.put(5)
    outbox.put(6)  # 1 and 2 have made room
    outbox.drop(3)
    assert values(outbox) == [4, 5, 6]
    assert outbox.dropped == 0  # 1 and 2 were delivered after all


def test_a_send_that_failed_leaves_what_was_pushed_out_counted():
    outbox, _ = filled([1, 2, 3, 4])
    values(outbox, 2)
    for value in (5, 6, 7):
        outbox.put(value)
    assert outbox.dropped == 3
    outbox.drop(1)
    assert outbox.dropped == 2
    assert values(outbox) == [4, 5, 6, 7]


def test_drop_never_goes_beyond_what_was_peeked_at():
    outbox, _ = filled([1, 2, 3])
    values(outbox, 2)
    outbox.drop(100)
    outbox.drop(1)
    assert values(outbox) == [3]


def test_the_ring_holds_through_many_rounds():
    outbox, _ = filled([], capacity=7)
    expected = []
    for value in range(200):
        outbox.put(value)
        expected.append(value)
        expected = expected[-7:]
        assert values(outbox) == expected
        if value % 3 == 0:
            values(outbox, 2)
            outbox.drop(2)
            expected = expected[2:]
    assert len(outbox) == len(expected)


def test_ages_are_right_across_the_end_of_32_bits():
    uptime = Uptime((1 << 32) - 300)
    outbox = Outbox(3, uptime.ms)
    outbox.put(1.0)
    uptime.now_ms += 86400000
    outbox.put(2.0, 10)
    assert outbox.peek(2) == [(1.0, 86400000), (2.0, 10)]


def test_the_memory_is_taken_at_once_and_never_grows():
    outbox = Outbox(now_ms=Uptime().ms)
    for value in range(2 * CAPACITY):
        outbox.put(value)
    assert len(outbox) == outbox.capacity == CAPACITY == 240
    assert outbox.dropped == 240
