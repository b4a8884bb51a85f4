"""`make bench-server`: the same load on our server, on gooseBit and on a bare route, in turns; ratios, and targets.

Exit status 1 if a target is missed. Only the ratios say something on another machine. `ARGS="--seconds 5 --rounds 3
--fleet 300"`; `--only-ours` leaves gooseBit out, which is installed beside (build/goosebit) from the package index.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from load.client import Findings, Plan, in_a_process
from load.downloads import memory_of_downloads
from load.first import ratio_of_first_activations
from load.servers import Served, constant, goosebit, ours

CONNECTIONS = 20
FEW, MANY = 10, 10_000
WAYS = {"keep-alive": True, "a connection each": False}
Made = Callable[[], AbstractContextManager[Served]]


@dataclass(frozen=True)
class Target:
    claim: str
    found: str
    met: bool


class Runs:
    """What each server did in each way, round by round."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, str, int], list[Findings]] = defaultdict(list)

    def rate(self, *which: str | int) -> float:
        return statistics.median(one.rate for one in self.found[which])  # type: ignore[index]

    def p99_ms(self, *which: str | int) -> float:
        return statistics.median(one.p99_ms for one in self.found[which])  # type: ignore[index]


def measure(runs: Runs, folder: Path, servers: dict[str, Made], devices: int, seconds: float, rounds: int) -> None:
    """One after the other, so that what the machine does meanwhile falls on all of them."""
    for _ in range(rounds):
        for name, make in servers.items():
            with make() as served:
                polls = served.polls(devices)
                in_a_process(Plan(served.port, polls, seconds, CONNECTIONS, each_once=True), folder)  # each has called
                for way, keep_alive in WAYS.items():
                    plan = Plan(served.port, polls, seconds, CONNECTIONS, keep_alive)
                    found = in_a_process(plan, folder)
                    runs.found[name, way, devices].append(found)
                    say(f"{name:10} {devices:6} devices, {way:18}", found)


def say(what: str, found: Findings) -> None:
    bad = f"  {found.bad} not answered: {found.statuses}" if found.bad else ""
    print(f"{what} {found.rate:7.0f}/s   p50 {found.p50_ms:7.1f} ms   p99 {found.p99_ms:7.1f} ms{bad}", flush=True)


def open_loop(runs: Runs, folder: Path, servers: dict[str, Made], seconds: float) -> Iterator[Target]:
    """At half of what the slower one does closed: who answers at the same pace, and how late."""
    rate = min(runs.rate(name, "keep-alive", MANY) for name in servers) / 2
    found = {}
    for name, make in servers.items():
        with make() as served:
            polls = served.polls(MANY)
            in_a_process(Plan(served.port, polls, seconds, CONNECTIONS, each_once=True), folder)
            found[name] = in_a_process(Plan(served.port, polls, seconds, CONNECTIONS, rate=rate), folder)
            say(f"{name:10} {MANY:6} devices, {rate:.0f} due a second ", found[name])
    if "gooseBit" in found:
        mine, its = found["ours"].p99_ms, found["gooseBit"].p99_ms
        yield Target("open loop: p99 not above gooseBit's", f"{mine:.1f} of {its:.1f} ms", mine <= its)


def fleet(folder: Path, seconds: float) -> Iterator[Target]:
    """10,000 devices that each poll and report once a minute."""
    with ours(folder, MANY, "--quiet") as served:
        assert served.report is not None
        requests = served.polls(MANY) + [served.report(number) for number in range(MANY)]
        rate = 2 * MANY / 60
        found = in_a_process(Plan(served.port, requests, seconds, CONNECTIONS, rate=rate), folder)
        memory_mb = served.memory_mb()
    say(f"ours       {MANY} devices poll and report once a minute, {seconds:.0f} s ", found)
    yield Target("the fleet: no error", f"{found.bad} of {found.good + found.bad}", not found.bad)
    yield Target("the fleet: p99 under half a second", f"{found.p99_ms:.0f} ms", found.p99_ms < 500)
    yield Target("the fleet: memory under 300 MB", f"{memory_mb:.0f} MB", memory_mb < 300)


def processes(folder: Path, seconds: float, workers: int, url: str | None) -> None:
    """What one process answers in a second, and so many: polls, and reports."""
    for count in (1, workers):
        with ours(folder, MANY, "--quiet", "--workers", str(count), url=url) as served:
            assert served.report is not None
            polls, reports = served.polls(MANY), [served.report(number) for number in range(MANY)]
            in_a_process(Plan(served.port, polls, seconds, CONNECTIONS, each_once=True), folder)
            for what, requests in (("polls", polls), ("reports", reports)):
                found = in_a_process(Plan(served.port, requests, seconds, 2 * CONNECTIONS), folder)
                where = "PostgreSQL" if url else "SQLite"
                say(f"ours       {count} process{'es' if count > 1 else '':2} on {where:10} {what:8}", found)


def targets(runs: Runs, rival: bool) -> Iterator[Target]:
    def ratio(claim: str, mine: float, other: float, least: float) -> Target:
        return Target(claim, f"{mine / other:.2f}", mine >= least * other)

    polls = runs.rate("ours", "keep-alive", MANY)
    yield ratio("polls at least half of a bare route", polls, runs.rate("bare", "keep-alive", MANY), 0.5)
    if not rival:
        return
    for way, least in (("keep-alive", 6), ("a connection each", 3)):
        claim = f"polls at least {least} times gooseBit's, {way}"
        yield ratio(claim, runs.rate("ours", way, MANY), runs.rate("gooseBit", way, MANY), least)
        mine, its = runs.p99_ms("ours", way, MANY), runs.p99_ms("gooseBit", way, MANY)
        yield Target(f"p99 not above gooseBit's, {way}", f"{mine:.1f} of {its:.1f} ms", mine <= its)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench-server", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5, help="of each run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--fleet", type=float, default=300, help="seconds of the whole fleet; 0: not at all")
    parser.add_argument("--only-ours", action="store_true", help="without gooseBit")
    parser.add_argument("--workers", type=int, default=2, help="processes, beside one")
    parser.add_argument("--database", help="an empty PostgreSQL database for one and several processes, beside SQLite")
    parser.add_argument("--processes", action="store_true", help="nothing but one and several processes")
    given = parser.parse_args()
    found: list[Target] = []
    with tempfile.TemporaryDirectory(prefix="thermokeeper-load-") as name:
        folder = Path(name)
        for url in (None, *([given.database] if given.database else [])):
            processes(folder, given.seconds, given.workers, url)
        if given.processes:
            return 0
        runs = Runs()
        for devices in (FEW, MANY):
            servers: dict[str, Made] = {
                "ours": lambda devices=devices: ours(folder, devices),  # type: ignore[misc]
                "bare": lambda: constant(folder),
            }
            if not given.only_ours:
                servers["gooseBit"] = lambda devices=devices: goosebit(folder, devices, Path("build/goosebit"))  # type: ignore[misc]
            measure(runs, folder, servers, devices, given.seconds, given.rounds)
        found += targets(runs, not given.only_ours)
        found += open_loop(
            runs, folder, {name: make for name, make in servers.items() if name != "bare"}, given.seconds
        )
        ratio = ratio_of_first_activations(folder)
        claim = "a first activation at 100,000 things takes at most 1.25 times one at 10"
        found.append(Target(claim, f"{ratio:.2f}", ratio <= 1.25))
        memory_mb = memory_of_downloads(folder)
        found.append(Target("200 downloads at once under 200 MB", f"{memory_mb:.0f} MB", memory_mb < 200))
        if given.fleet:
            found += fleet(folder, given.fleet)
    for target in found:
        print(f"{'met   ' if target.met else 'MISSED'} {target.claim}: {target.found}")
    return 0 if all(target.met for target in found) else 1


if __name__ == "__main__":
    sys.exit(main())
