"""What a trial release has to show before it confirms itself."""

import time

from thermometer.proving.health import Health


def healthy(start_ms=0, min_alive_ms=20000):
    health = Health(min_alive_ms, lambda: start_ms)
    health.sensor_ok = health.network_ok = health.server_ok = health.report_ok = True
    return health


def test_nothing_is_healthy_at_the_start_and_each_lack_is_named():
    health = Health(20000, lambda: 5000)
    assert not health.ok()
    lacks = "no temperature read, no network, server not reached with the stored key, no reading accepted, 20 s of life"
    assert health.missing() == lacks


def test_all_facts_and_the_age_make_it_healthy():
    health = healthy()
    assert not health.ok(19999)
    assert health.missing(19999) == "20 s of life"
    assert health.ok(20000)
    assert health.missing(20000) == ""


def test_each_fact_is_needed():
    for fact in ("sensor_ok", "network_ok", "server_ok", "report_ok"):
        health = healthy()
        setattr(health, fact, False)
        assert not health.ok(60000)
        assert health.missing(60000)
        setattr(health, fact, True)
        assert health.ok(60000)


def test_ticks_that_start_again_neither_age_nor_rejuvenate():
    start_ms = time.ticks_add(0, -10000)
    health = healthy(start_ms)
    assert not health.ok(time.ticks_add(start_ms, 15000))
    assert health.ok(time.ticks_add(start_ms, 25000))
    half_ms = time.ticks_add(0, -1) // 4 + 1
    now_ms = start_ms
    for _ in range(6):
        now_ms = time.ticks_add(now_ms, half_ms)
        assert health.ok(now_ms)


def test_the_age_asked_for_may_be_set_later():
    health = healthy()
    health.min_alive_ms = 1000
    assert health.ok(1000)
