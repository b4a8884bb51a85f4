"""One life of a board behind the proxy, followed from its first power-on to its end, and held against the clean one.

The story, whatever the network does to it: activation, name, version 1.0.0 confirmed, readings; 2.0.0 is published,
downloaded, tried, confirmed; readings; somebody else activates with the serial, so the board's key is dropped and it
activates again; readings. It ends when everything that was measured is on the server, and then must be what a life
without harm is. `problems` says what isn't.

Time is virtual: nothing waits for what the proxy doesn't send.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx

from exchanges.proxy import Proxy
from exchanges.setting import Elsewhere, Goods, Service
from thermokeeper.demo.workshop import PRODUCT
from thermokeeper.formats import factory_record
from thermokeeper.formats.partitions import table_for
from thermokeeper.simulator import nvs
from thermokeeper.simulator.board import Board, Event
from thermokeeper.simulator.describe import describe
from thermokeeper.simulator.world import World

TABLE = table_for("4MiB")
THING = "ThermometerDevice"
SLOTS = {"ota_0": "1.0.0", "ota_1": "2.0.0"}
PACE = {"period_s": 4, "report_s": 12, "sync_s": 20, "alive_s": 2}
_END_MS = 4 * 3_600_000
_WALL_S = 60
_PEACE_READINGS = 2
_LINE = re.compile(r"tk: (\w+): (.*)")
_READING = re.compile(r"(-?[\d.]+) C\b.*")
_LATEST = 250.0  # ms from one pulse to the next


@dataclass
class Outcome:
    """What came of a life. `exchanges`: (label, harm, status, at ms) of each."""

    name: str
    problems: list[str] = field(default_factory=list)
    exchanges: list[tuple[str, str, int, float]] = field(default_factory=list)
    activations: int = 0
    taken: int = 0
    lived_ms: float = 0
    took_s: float = 0
    in_vain: bool = False
    led: int = 0  # how often it asked another server
    console: list[str] = field(default_factory=list)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Outcome:
        found = cls(**json.loads(text))
        found.exchanges = [tuple(one) for one in found.exchanges]  # type: ignore[misc]
        return found


class Life:
    """`live` lives it. activations: how many more than the clean life's it may cost; set up the proxy's plan before.

    This one is with GadgetKeeper; `dms` has the other.
    """

    clean_activations = 3  # one of them somebody else's
    key_header = "x-apikey"

    def __init__(self, name: str, goods: Goods, service: Service, folder: Path, activations: int = 0) -> None:
        self.name = name
        self._goods = goods
        self._service = service
        self._allowed = self.clean_activations + activations
        self._serial = f"THERM{time.monotonic_ns():019d}"
        self._number = self._serial  # by which the server knows it
        self._flash = folder / f"{self._serial}.bin"
        self._board: Board | None = None
        self.proxy = Proxy(service.url, self.now_ms)
        self.proxy.restart = service.restart
        self.world = World(sensor={"temperature_c": 10.0})
        self.pace: dict[str, Any] = dict(PACE)
        self.events: list[tuple[float, str, str]] = []  # (at ms, kind, text)
        self.taken: list[tuple[float, float]] = []  # (value, at ms)
        self.problems: list[str] = []
        self.ids: dict[str, str] = {}
        self._stage: Callable[[], None] | None = self._young
        self.limit_ms = _END_MS  # of the board's time
        self._mark = 0  # readings that must have arrived before the stage is over
        self._before = 0

    def now_ms(self) -> float:
        """The board's clock."""
        return 0.0 if self._board is None else float(self._board.pauses.now_ms)

    def live(self) -> Outcome:
        """From the first power-on to the end."""
        began_s = time.monotonic()
        self.ids = self._registered()
        elsewhere = Elsewhere()
        self.proxy.elsewhere = elsewhere.url
        try:
            with self.proxy:
                self._make_flash()
                runtime = "cpython" if self._goods.source else "micropython"
                # its releases aren't merged, so memory is roomy
                self._board = board = Board(self._flash, self.world, runtime, virtual_time=True, memory="roomy")
                self.proxy.board = board
                board.play(self._heard, wall_s=_WALL_S, until=lambda event: self._stage is None, max_boots=8)
            elsewhere.close()
            self._judge(board, elsewhere)
            return self._outcome(time.monotonic() - began_s, len(elsewhere.heard))
        finally:
            elsewhere.close()
            self._flash.unlink(missing_ok=True)

    # what is the service's own

    def _registered(self) -> dict[str, str]:
        """Make it known to the server; the ids of the versions."""
        return self._service.register(self._number, self._goods)

    def _credentials(self) -> dict[str, str]:
        """What its factory record needs for the service."""
        return {}

    def _robbed(self) -> None:
        """Somebody else activates with its serial."""
        url = f"{self._service.url}/v1/provision/activate.json"
        httpx.post(url, json={"serialNumber": self._serial}, verify=False).raise_for_status()

    def _judge_standing(self, wrong: Callable[[str], None], thing: str) -> None:
        cloud = self._stored("cloud")
        if cloud.get("thing") != thing:
            wrong(f"takes itself for the thing {cloud.get('thing')}")
        if not cloud.get("named"):
            wrong("isn't named, by its own word")
        url = f"{self._service.url}/v1/things/{thing}/target-version.json"
        answer = httpx.get(url, headers={"X-ApiKey": cloud.get("key", "")}, verify=False)
        if answer.status_code != 200:
            wrong(f"its key isn't good: {answer.status_code}")

    # its course

    def _make_flash(self) -> None:
        flash = bytearray(self._goods.flash)
        members = {**self.pace, **self._credentials()}
        record = factory_record.pack(self._serial, PRODUCT, self.proxy.url, plain_http=True, **members)
        start = TABLE["factory"].offset
        flash[start : start + len(record)] = record
        self._flash.write_bytes(flash)

    # following it

    def _heard(self, event: Event) -> None:
        at_ms = self.now_ms()
        self.events.append((at_ms, event.kind, event.text))
        if event.kind == "boot":
            self._check_slot(event.text)
        if self.proxy.trouble is not None:
            raise self.proxy.trouble
        if at_ms - self.events[0][0] > self.limit_ms and self._stage is not None:
            self.problems.append(
                f"isn't at its end after {self.limit_ms // 60_000} minutes: {self._stage.__name__[1:]}"
            )
            self._stage = None
        line = _LINE.fullmatch(event.text) if event.kind == "console" else None
        if line is None:
            return
        if self.proxy.refuses and "refuses the connection" in line[2]:
            self.proxy.accept_again()
        if line[1] == "reading" and (found := _READING.fullmatch(line[2])):
            self.taken.append((round(float(found[1]) * 16) / 16, at_ms))
            self.world.sensor(temperature_c=10 + len(self.taken) / 16)
            if self._stage is not None:
                self._stage()

    def _young(self) -> None:
        thing = self._service.thing(self._number)
        if thing and thing[2] == "1.0.0" and len(self._service.readings(self._number)) >= _PEACE_READINGS:
            self._service.publish(self._number, self.ids["2.0.0"])
            self._stage = self._updating

    def _updating(self) -> None:
        thing = self._service.thing(self._number)
        if thing and thing[2] == "2.0.0" and self._arrived_since(self._boot_of("ota_1")):
            self._robbed()
            self._before = len(self.taken)
            self._stage = self._dropped

    def _dropped(self) -> None:
        if self._arrived_since(self.taken[self._before - 1][1]):
            self._mark = len(self.taken)
            self._stage = self._leaving

    def _leaving(self) -> None:
        arrived = set(self._service.readings(self._number))
        if all(value in arrived for value, _ in self.taken[: self._mark] if value not in self._lost()):
            release = self._stored("release")
            if release.get("id") == self.ids["2.0.0"] and not release.get("next"):  # it may have been told late
                self._stage = None

    def _lost(self) -> set[float]:
        """Readings of an earlier boot that can't arrive any more."""
        boots = [at_ms for at_ms, kind, _ in self.events if kind == "boot"]
        arrived = self._service.readings(self._number)
        return {value for value, at_ms in self.taken if at_ms < boots[-1] and value not in arrived}

    def _boot_of(self, slot: str) -> float:
        return next((at_ms for at_ms, kind, text in self.events if (kind, text) == ("boot", slot)), float("inf"))

    def _arrived_since(self, at_ms: float) -> bool:
        """Whether a few of the readings taken after this moment are on the server."""
        arrived = set(self._service.readings(self._number))
        return sum(taken_ms > at_ms and value in arrived for value, taken_ms in self.taken) >= _PEACE_READINGS

    # judging it

    def _check_slot(self, label: str) -> None:
        expected = self._goods.slots[SLOTS[label]]
        if self._partition(label)[: len(expected)] != expected:
            self.problems.append(f"boots {label}, which doesn't hold {SLOTS[label]} as it was published")

    def _partition(self, label: str) -> bytes:
        part = TABLE[label]
        with self._flash.open("rb") as file:
            file.seek(part.offset)
            return file.read(part.size)

    def _stored(self, name: str) -> dict[str, Any]:
        """A record of the board's NVS, {} without it."""
        found: dict[str, Any] = json.loads(nvs.read(self._partition("nvs")).values.get(("keeper", name), "{}"))
        return found

    def _judge(self, board: Board, elsewhere: Elsewhere) -> None:
        wrong = self.problems.append
        kinds = Counter(kind for _, kind, _ in self.events)
        console = [text for _, kind, text in self.events if kind == "console"]
        if board.outcome != "until":
            wrong(f"ended with {board.outcome}")
        if strange := sorted(set(kinds) - {"console", "boot", "note", "reset", board.outcome}):
            wrong(f"suffered {', '.join(strange)}")
        if [text for _, kind, text in self.events if kind == "boot"] != ["ota_0", "ota_1"]:
            wrong(f"booted {[text for _, kind, text in self.events if kind == 'boot']}")
        if odd := [line for line in console if not line.startswith("tk: ")]:
            wrong(f"printed {odd[0]}")
        if not any(line.startswith("next boot: ota_1") for line in describe(self._flash)):
            wrong("the next boot isn't ota_1")
        if "  sector 1: sequence 2 -> ota_1, valid" not in list(describe(self._flash)):
            wrong("ota_1 isn't valid")
        self._check_slot("ota_1")
        self._judge_records(wrong)
        self._judge_readings(wrong)
        keys = {
            record.request.headers[self.key_header].rpartition(" ")[2].encode()
            for record in self.proxy.records
            if record.request and self.key_header in record.request.headers
        }
        if any(key in heard for key in keys for heard in elsewhere.heard):
            wrong("sent its key to another server")
        if any(key.decode() in line for key in keys for line in console):
            wrong("printed its key")

    def _judge_records(self, wrong: Callable[[str], None]) -> None:
        for problem in nvs.read(self._partition("nvs")).problems:
            wrong(f"NVS: {problem}")
        release = self._stored("release")
        if self._stored("resume"):
            wrong("a checkpoint is left in NVS")
        thing = self._service.thing(self._number)
        if thing is None:
            wrong("the server has no thing")
            return
        if thing[1:3] != (THING, "2.0.0"):
            wrong(f"the server knows {thing[:3]}")
        if (release.get("id"), release.get("digest"), release.get("next"), release.get("failed")) != (
            self.ids["2.0.0"],
            self._goods.digests["2.0.0"],
            None,
            None,
        ):
            wrong(f"NVS has release {release}")
        if not self.clean_activations <= thing[3] <= self._allowed:
            wrong(f"{thing[3]} activations, {self._allowed} at most")
        self._judge_standing(wrong, thing[0])

    def _judge_readings(self, wrong: Callable[[str], None]) -> None:
        count = Counter(self._service.readings(self._number))
        lost = [value for value, _ in self.taken[: self._mark] if not count[value]]
        if lost:
            wrong(f"{len(lost)} readings lost: {lost[:5]}")
        twice = [value for value in count if count[value] > 1]
        if twice:
            wrong(f"{len(twice)} readings twice: {twice[:5]}")
        if unknown := sorted(set(count) - {value for value, _ in self.taken}):
            wrong(f"readings that were never taken: {unknown[:5]}")
        times = [at_ms for _, at_ms in self.taken]
        longest = max((later - earlier for earlier, later in pairwise(times)), default=0)
        if longest > self.pace["period_s"] * 2000 + _LATEST:
            wrong(f"{longest / 1000:.1f} s without a reading")

    def _outcome(self, took_s: float, led: int) -> Outcome:
        thing = self._service.thing(self._number)
        records = self.proxy.records
        start_ms = self.events[0][0]
        return Outcome(
            self.name,
            self.problems,
            [(record.label, record.harm, record.status, record.at_ms - start_ms) for record in records],
            thing[3] if thing else 0,
            len(self.taken),
            lived_ms=self.events[-1][0] - start_ms,
            took_s=took_s,
            led=led,
            console=[
                f"{(at_ms - start_ms) / 1000:8.1f} " + (text if kind == "console" else f"-- {kind}: {text}")
                for at_ms, kind, text in self.events
            ],
        )
