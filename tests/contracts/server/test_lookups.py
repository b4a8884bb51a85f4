"""What many look for at once is looked for together; each hears of its own."""

from __future__ import annotations

import asyncio
import threading

import pytest

from thermokeeper.server.http.lookups import Lookups


def test_those_who_wait_are_looked_for_in_one_query():
    asked: list[list[str]] = []

    def find(names: list[str]) -> dict[str, str]:
        asked.append(names)
        return {name: name.upper() for name in names if name != "nobody"}

    async def all_at_once():
        lookups = Lookups(find)
        names = [f"d{number % 60}" for number in range(120)]
        found = await asyncio.gather(*(lookups.find(name) for name in [*names, "nobody"]))
        assert found == [*(name.upper() for name in names), None]
        assert await lookups.find("d1") == "D1", "and later ones"

    asyncio.run(all_at_once())
    assert [len(names) for names in asked] == [61, 1]


def test_what_goes_wrong_is_told_to_all_who_asked_and_to_nobody_else():
    def find(names: list[str]) -> dict[str, str]:
        if "bad" in names:
            raise ZeroDivisionError
        return {name: name for name in names}

    async def some():
        lookups = Lookups(find)
        results = await asyncio.gather(lookups.find("bad"), lookups.find("with it"), return_exceptions=True)
        assert [type(result) for result in results] == [ZeroDivisionError] * 2
        assert await lookups.find("good") == "good"

    asyncio.run(some())


def test_who_leaves_takes_nobody_along():
    going_on = threading.Event()

    def find(names: list[str]) -> dict[str, str]:
        assert going_on.wait(30)
        return {name: name for name in names}

    async def two():
        lookups = Lookups(find)
        first = asyncio.create_task(lookups.find("it"))
        second = asyncio.create_task(lookups.find("it"))
        await asyncio.sleep(0)
        first.cancel()
        going_on.set()
        assert await second == "it"
        with pytest.raises(asyncio.CancelledError):
            await first

    asyncio.run(two())
