"""Readings: taken on their period whatever happens, and delivered once each, with the time at which they were taken."""

import pytest

from lives.front import Hold, slowly
from lives.kit import QUICKLY

DATAPOINTS = "POST /v1/things/[0-9a-f]+/events/temperature/datapoints"


def answer_is_lost(exchange):
    """The server takes the request, and the board never hears of it."""
    exchange.answer_of_server()


def all_delivered(life):
    """Live on until the server has every reading that was taken until now; all that it has then, in order."""
    wanted = len(life.said("reading"))
    for _ in range(20):
        if len(life.readings()) >= wanted:
            break
        life.measures(1)
    assert len(life.readings()) >= wanted
    return life.readings()


def assert_steady(life, longest=1.5):
    """The server has readings of the whole time, once each: so many periods at most between two of them."""
    gaps = sorted(life.gaps_s())
    assert gaps and gaps[0] > 0
    # A start sets the clock in whole seconds, up to one too early: by so much the gap over a reset may seem shorter.
    gaps = gaps[life.happened("reset") :]
    assert max(gaps) < longest * life.runtime.period_s and min(gaps) > 0.5 * life.runtime.period_s, gaps


def test_readings_are_delivered_with_the_time_at_which_they_were_taken(life):
    life.world.sensor(wave_c=5.0)
    life.boots()
    life.measures(8)
    readings = all_delivered(life)
    assert_steady(life)
    shown = [float(text.split()[0]) for text in life.said("reading")][:8]
    assert [reading.value for reading in readings[:8]] == pytest.approx(shown, abs=0.006)
    assert len(set(shown)) > 1


def test_readings_taken_while_the_server_is_down_are_delivered_later_once_each(life):
    life.boots()
    life.says("version", "up to date")
    life.measures(2)
    life.front.down()
    life.measures(8)
    life.front.up()
    all_delivered(life)
    assert_steady(life)


def test_readings_taken_before_the_board_knew_the_time_get_the_right_one(life):
    life.world.wifi(False)
    life.boots()
    life.measures(6)
    life.world.wifi(True)
    life.says("confirm")
    readings = all_delivered(life)
    assert_steady(life)
    assert all(reading.at.year > 2024 for reading in readings)


def test_a_reading_whose_answer_was_lost_is_not_counted_twice(life):
    life.boots()
    life.says("version", "up to date")
    for _ in range(6):
        lost = life.front.on(DATAPOINTS, answer_is_lost, times=1)
        while lost.left:
            life.measures(1)
        all_delivered(life)
    assert_steady(life)


@QUICKLY
def test_a_slow_download_leaves_no_gap_of_two_periods_nor_does_the_reset_after_it(life):
    life.front.on("GET .*/firmware.bin", slowly(2))
    life.boots()
    life.says("version", "up to date")
    life.publish("2.0.0")
    life.says("download", "^50%")
    life.says("version", "up to date: 2.0.0", 40)
    life.measures(2)
    all_delivered(life)
    assert_steady(life, longest=2)
    assert life.happened("reset") == 1


@QUICKLY
def test_a_server_that_stops_answering_does_not_stop_the_readings(life):
    life.boots()
    life.says("version", "up to date")
    dead = Hold(lets_wait=True)
    rule = life.front.on(".*", dead)
    while not dead.arrived:
        life.measures(1)
    life.measures(6)
    life.front.off(rule)
    dead.let_go()
    all_delivered(life)
    assert_steady(life)


def test_without_a_network_the_board_goes_on_measuring_and_delivers_it_all_when_it_is_back(life):
    life.boots()
    life.says("version", "up to date")
    life.world.wifi(False)
    life.says("wifi", "lost")
    life.measures(10)
    life.world.wifi(True)
    life.says("wifi", "on workshop")
    all_delivered(life)
    assert_steady(life)
