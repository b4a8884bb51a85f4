"""The load generator finds out what it is there to find out: answers, refusals, silence; and the whole bench runs."""

from __future__ import annotations

import asyncio

import pytest

from load.client import Plan, in_a_process, run
from load.servers import constant, key, ours, request


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with ours(tmp_path_factory.mktemp("load"), 20, "--quiet") as running:
        yield running


@pytest.mark.parametrize("keep_alive", [True, False])
def test_each_device_s_poll_is_answered(served, keep_alive, tmp_path):
    plan = Plan(served.port, served.polls(20), 1, connections=4, keep_alive=keep_alive, each_once=True)
    found = in_a_process(plan, tmp_path)
    assert found.statuses == {200: 20}
    assert 0 < found.p50_ms <= found.p99_ms <= found.max_ms


def test_reports_are_taken(served):
    plan = Plan(served.port, [served.report(number) for number in range(20)], 1, connections=4, each_once=True)
    assert asyncio.run(run(plan)).statuses == {204: 20}


def test_refusals_are_not_counted_as_answers(served):
    wrong = request("GET", f"/v1/things/{key(1)}/target-version.json", f"X-ApiKey: {key(12345)}")
    found = asyncio.run(run(Plan(served.port, [wrong] * 5, 1, connections=2, each_once=True)))
    assert (found.good, found.bad, found.statuses) == (0, 5, {401: 5})


def test_nobody_there_is_counted():
    found = asyncio.run(run(Plan(1, ["GET / HTTP/1.1\r\n\r\n"] * 3, 1, connections=1, each_once=True)))
    assert found.statuses == {0: 3}


def test_an_open_loop_makes_the_calls_that_are_due(served):
    found = asyncio.run(run(Plan(served.port, served.polls(20), 0.5, connections=4, rate=40)))
    assert found.statuses == {200: 20}


def test_a_bare_route_answers(tmp_path):
    with constant(tmp_path) as bare:
        assert asyncio.run(run(Plan(bare.port, bare.polls(5), 1, connections=2, each_once=True))).statuses == {200: 5}
