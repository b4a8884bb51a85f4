"""A day of a board that is sold, in each of its situations, in virtual time: how often is a flash sector erased?

The worst sector counts. A sector of the chips that boards have is good for 100,000 erases.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from lives.front import Exchange, status
from lives.kit import CPYTHON, Company, Foundry, Life

ERASES = 100_000
DAY_S = 86_400
DAYS_A_YEAR = 365
_READINGS = DAY_S // 30
LIMIT_S = 600
CRASHES_LATE = (
    (
        "thermometer/settling/beginning.py",
        "        if _on_trial():\n",
        '        if not _on_trial():\n            raise ValueError("a bug that shows late")\n        if _on_trial():\n',
    ),
)


def normal(life: Life) -> None:
    """Up to date, all is well."""


def server_away(life: Life) -> None:
    """The server doesn't answer."""
    life.front.down()


def server_busy(life: Life) -> None:
    """The server answers 503 to everything."""
    life.front.on(".*", status(503))


def no_network(life: Life) -> None:
    """The Wi-Fi network is gone."""
    life.world.wifi(False)


def portal(life: Life) -> None:
    """A portal says 200 to everything."""
    life.front.on(".*", status(200, {"Content-Type": "text/html"}, b"<html>Log in</html>" * 200))


def cut_downloads(life: Life) -> None:
    """A new release is published, each download is cut, and the server can't go on: it has firmware in JSON only."""

    def reply(exchange: Exchange) -> None:
        answer = exchange.answer_of_server()
        exchange.send(answer[: len(answer) // 2])

    life.front.on(r"GET .*/firmware.bin", status(404))
    life.front.on(r"GET .*/firmware.json", reply)
    life.publish("2.0.0")


def bad_bodies(life: Life) -> None:
    """A good header, and a body that isn't what it says."""

    def reply(exchange: Exchange) -> None:
        head, _, body = exchange.answer_of_server().partition(b"\r\n\r\n")
        exchange.send(head + b"\r\n\r\n" + body[:4096] + bytes(len(body) - 4096))

    life.front.on(r"GET .*/firmware.bin", reply)
    life.publish("2.0.0")


def dropped_keys(life: Life) -> None:
    """Two boards with one serial: the key is refused at each look."""
    life.front.on("GET .*target-version.*", status(401, {}, b'{"error": {"code": "unauthorized", "message": "no"}}'))


def crash_loop(life: Life) -> None:
    """The release that is published crashes after each trial."""
    life.publish("2.0.0", CRASHES_LATE)


SITUATIONS: tuple[Callable[[Life], None], ...] = (
    *(normal, server_away, server_busy, no_network, portal, cut_downloads, bad_bodies, dropped_keys, crash_loop),
)


def day(folder: Path, foundry: Foundry, situation: Callable[[Life], None]) -> tuple[int, str, int]:
    """(erases of the sector that has most, its partition, operations on NVS) in a day of this."""
    company = Company(folder, foundry, CPYTHON)
    life = Life(folder, company)
    try:
        company.publish("1.0.0")
        life.made()
        life.boots()
        life.says("version", "up to date")
        begun_s = life.board.pauses.now_ms / 1000
        before = len(life.board.operations)
        situation(life)
        while life.board.pauses.now_ms / 1000 - begun_s < DAY_S:
            life.measures(60, within_s=LIMIT_S)
        operations = life.board.operations[before:]
    finally:
        life.off()
        company.close()
    erased = Counter((one.partition, one.address // 4096) for one in operations if one.kind == "erase")
    (partition, _), most = max(erased.items(), key=lambda item: item[1], default=(("none", 0), 0))
    return most, partition, sum(one.partition == "nvs" for one in operations)


def years(most: int) -> float:
    """Until a sector has had its erases, at so many a day."""
    return ERASES / most / DAYS_A_YEAR if most else float("inf")
