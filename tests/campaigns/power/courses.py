"""The lives that the campaign cuts, one for each service: what happens in them, stage by stage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from power.dms import DmsDouble, DmsReal
from power.service import Double, GadgetKeeperDouble, GadgetKeeperReal, Real
from power.workshop import FAILING, OTHER_PRODUCT

_HOUR_S = 3600.0


@dataclass(frozen=True)
class Stage:
    """A part of a life. act: what the vendor (or somebody) does before; done: what the board says at its end.

    typed: (what the board says when somebody types, what they type); they do it again as long as it says so.
    """

    name: str
    act: Callable[[Any], None]
    done: str
    quiet_s: float = 2 * _HOUR_S
    typed: tuple[str, str] | None = None


@dataclass(frozen=True)
class Course:
    """A board's life with one service. versions: the releases that there are in it, the new board's first."""

    stages: tuple[Stage, ...]
    versions: tuple[str, ...]
    double: type[Double]
    real: type[Real]


GADGETKEEPER, DMS = "gadgetkeeper", "dms"

COURSES = {
    GADGETKEEPER: Course(
        (
            Stage("first boot and activation", lambda it: it.publish("1.0.0"), "version: up to date: 1.0.0"),
            Stage("key dropped, activated again", lambda it: it.steal(), "version: up to date: 1.0.0"),
            Stage("update to 2.0.0", lambda it: it.publish("2.0.0"), "version: up to date: 2.0.0"),
            Stage(
                "update to 3.0.0, which fails",
                lambda it: it.publish(FAILING),
                f"version: {FAILING} failed on this board: not tried again now",
                0.9 * _HOUR_S,
            ),
            Stage(
                "update to 4.0.0, which trusts a new key",
                lambda it: it.publish("4.0.0"),
                "version: up to date: 4.0.0",
            ),
            Stage(
                "update to 5.0.0, which revokes the old key",
                lambda it: it.publish("5.0.0"),
                "version: up to date: 5.0.0",
            ),
        ),
        ("1.0.0", "2.0.0", "3.0.0", "4.0.0", "5.0.0"),
        GadgetKeeperDouble,
        GadgetKeeperReal,
    ),
    DMS: Course(
        (
            Stage("DMS: provisioned and activated", lambda it: it.publish("1.0.0"), "version: up to date: 1.0.0"),
            Stage(
                "DMS: moved to another product",
                lambda it: it.publish("6.0.0"),
                "version: up to date: 6.0.0",
                typed=("version: up to date: 1.0.0", f"activate {OTHER_PRODUCT}"),
            ),
        ),
        ("1.0.0", "6.0.0"),
        DmsDouble,
        DmsReal,
    ),
}
