"""Writes of many callers at once are done in one transaction, and each caller hears of its own only."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import event, insert, select
from sqlalchemy.orm import Session

from thermokeeper.server.refusals import Busy, conflict
from thermokeeper.server.storage import database as database_module
from thermokeeper.server.storage.database import Database
from thermokeeper.server.storage.models import Template
from thermokeeper.server.storage.together import Together


@pytest.fixture
def opened(tmp_path):
    made = Database(None, tmp_path)
    yield made
    made.close()


@pytest.fixture
def commits(opened):
    """How many there were, as a list that grows."""
    seen: list[None] = []
    event.listen(opened.engine, "commit", lambda _connection: seen.append(None))
    return seen


def adding(name: str):
    def add(session: Session) -> str:
        session.connection().execute(insert(Template), {"name": name})
        return name

    return add


def refused(session: Session) -> str:
    adding("of who is refused")(session)
    raise conflict("exists", "no")


def broken(session: Session) -> str:
    adding("of who fails")(session)
    raise ZeroDivisionError


def names(opened: Database) -> set[str]:
    with opened.reading() as session:
        return set(session.scalars(select(Template.name)))


def all_at_once(opened: Database, works):
    """Each in a thread of its own, all of them waiting before the first one is begun: results or errors, in order."""
    results: list[object] = [None] * len(works)

    def call(place: int) -> None:
        try:
            results[place] = opened.write(works[place])
        except Exception as error:
            results[place] = error

    threads = [threading.Thread(target=call, args=(place,)) for place in range(len(works))]
    together = opened._together
    with opened.writing():
        threads[0].start()
        while together._thread is None or not together._waiting.empty():  # until it is in the writer's hand
            threading.Event().wait(0.001)
        for thread in threads[1:]:
            thread.start()
        while together._waiting.qsize() < len(works) - 1:
            threading.Event().wait(0.001)
    for thread in threads:
        thread.join()
    return results


def test_those_that_wait_are_committed_together(opened, commits):
    wanted = [f"Template {number}" for number in range(40)]
    assert all_at_once(opened, [adding(name) for name in wanted]) == wanted
    assert names(opened) == set(wanted)
    assert len(commits) <= 3, "the one that held them up, the first, and all others"


def test_one_that_is_refused_leaves_nothing_and_costs_the_others_nothing(opened):
    first, error, third = all_at_once(opened, [adding("first"), refused, adding("third")])
    assert (first, third) == ("first", "third") and error.code == "exists"
    assert names(opened) == {"first", "third"}


def test_one_that_fails_is_told_so_and_the_others_are_done_without_it(opened):
    *others, error = all_at_once(opened, [adding("first"), adding("second"), adding("third"), broken])
    assert others == ["first", "second", "third"] and isinstance(error, ZeroDivisionError)
    assert names(opened) == {"first", "second", "third"}


def test_one_that_is_alone_is_refused_and_fails_as_well(opened):
    with pytest.raises(Exception, match="no"):
        opened.write(refused)
    with pytest.raises(ZeroDivisionError):
        opened.write(broken)
    assert opened.write(adding("after")) == "after" and names(opened) == {"after"}


def test_who_waits_for_too_long_is_refused_and_is_not_done_later(tmp_path, monkeypatch):
    monkeypatch.setattr(database_module, "_QUEUE_S", 0.05)
    opened = Database(None, tmp_path)

    async def in_the_loop():
        with pytest.raises(Busy):
            await opened.write_async(adding("third"))

    with ThreadPoolExecutor(2) as pool, opened.writing():
        first = pool.submit(opened.write, adding("first"))
        while opened._together._thread is None or not opened._together._waiting.empty():
            threading.Event().wait(0.001)
        with pytest.raises(Busy):
            opened.write(adding("second"))
        asyncio.run(in_the_loop())
        with pytest.raises(Busy):
            first.result()
    assert opened.write(adding("fourth")) == "fourth"
    assert names(opened) == {"fourth"}
    opened.close()


def test_who_has_left_is_not_done_when_his_turn_comes(opened):
    """However patient the writer himself is with others."""
    together = Together(opened, 0.05)
    with ThreadPoolExecutor(1) as pool:
        with opened.writing():
            first = pool.submit(together.write, adding("first"))
            while together._thread is None or not together._waiting.empty():
                threading.Event().wait(0.001)
            with pytest.raises(Busy):
                together.write(adding("second"))
        assert first.result() == "first"
    together.stop()
    assert names(opened) == {"first"}


def test_callers_in_the_event_loop_are_done_with_the_others(opened):
    async def all_of_them():
        return await asyncio.gather(*(opened.write_async(adding(str(number))) for number in range(100)))

    assert asyncio.run(all_of_them()) == [str(number) for number in range(100)]
    assert len(names(opened)) == 100


def test_what_waits_when_the_server_stops_is_done(tmp_path):
    opened = Database(None, tmp_path)
    with ThreadPoolExecutor(8) as pool:
        results = [pool.submit(opened.write, adding(str(number))) for number in range(50)]
        assert {result.result() for result in results} == {str(number) for number in range(50)}
    opened.close()
    again = Database(None, tmp_path)
    assert len(names(again)) == 50
    again.close()
