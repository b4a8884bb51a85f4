"""Pauses of a board in virtual time: what is due is done at its moment, and quiet is of one connection."""

from thermokeeper.simulator.pauses import Pauses
from thermokeeper.simulator.world import World


def test_what_is_due_is_done_once_in_order_and_not_before() -> None:
    pauses, done = Pauses(World()), []
    pauses.follow(100, 1)
    for pause_ms in (30, 10, 20):
        pauses.keep_quiet(pause_ms, lambda pause_ms=pause_ms: done.append(pause_ms))  # type: ignore[misc]
    assert pauses.line == {"quiet": 1, "due_ms": 110}
    pauses.follow(109, 1)
    assert done == []
    pauses.follow(120, 1)
    pauses.follow(120, 1)
    assert (done, pauses.line["due_ms"]) == ([10, 20], 130)


def test_the_end_of_a_pause_ends_the_quiet_of_its_own_connection_only() -> None:
    pauses = Pauses(World())
    pauses.follow(0, 1)
    pauses.keep_quiet(50)
    pauses.follow(10, 2)
    assert pauses.line["quiet"] is None, "another connection was opened"
    pauses.keep_quiet(100)
    pauses.follow(50, 2)
    assert pauses.line == {"quiet": 2, "due_ms": 110}
    pauses.follow(110, 2)
    assert pauses.line == {"quiet": None, "due_ms": None}


def test_a_connection_that_the_board_has_left_makes_no_other_one_quiet() -> None:
    pauses, done = Pauses(World()), []
    pauses.follow(0, 1)
    pauses.follow(10, 2)
    pauses.keep_quiet(connection=1)
    assert pauses.line == {"quiet": None, "due_ms": None}
    pauses.keep_quiet(50, lambda: done.append(1), 1)
    assert pauses.line == {"quiet": None, "due_ms": 60}, "whoever waits is told all the same"
    pauses.keep_quiet(connection=2)
    pauses.follow(60, 2)
    assert (done, pauses.line) == ([1], {"quiet": 2, "due_ms": None})


def test_the_board_reads_it_in_its_world() -> None:
    world = World()
    pauses = Pauses(world)
    pauses.follow(0, 3)
    pauses.keep_quiet()
    assert world.settings["line"] == {"quiet": 3, "due_ms": None}
    world.sensor(temperature_c=1.0)
    assert world.settings["line"] == {"quiet": 3, "due_ms": None}
