"""How long a device waits after failures."""

from keeper.backoff import Backoff


def test_waits_double_up_to_the_cap_with_jitter_below():
    backoff = Backoff(1000, 10_000)
    for top_ms in (1000, 2000, 4000, 8000, 10_000, 10_000):
        assert top_ms // 2 <= backoff.next_ms() <= top_ms
    for _ in range(100):
        assert 5_000 <= backoff.next_ms() <= 10_000


def test_two_devices_do_not_wait_alike():
    waits = [Backoff(100_000, 900_000).next_ms() for _ in range(20)]
    assert len(set(waits)) > 10


def test_success_starts_from_the_base_again():
    backoff = Backoff(1000, 60_000)
    for _ in range(5):
        backoff.next_ms()
    backoff.reset()
    assert backoff.next_ms() <= 1000


def test_server_can_ask_for_more_but_not_for_ever_and_not_for_less():
    for _ in range(50):
        assert 30_000 <= Backoff(1000, 60_000).next_ms(30_000) <= 30_500
        assert 500 <= Backoff(1000, 60_000).next_ms(1) <= 1000
        assert 500 <= Backoff(1000, 60_000).next_ms(0) <= 1000
        assert Backoff(1000, 60_000).next_ms(10**9) <= 3_600_500
