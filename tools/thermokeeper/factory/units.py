"""What the factory speaks of: a batch's plan, its units before and after they are in the journal, a unit's steps."""

from dataclasses import dataclass, field
from typing import Any

# in this order, but for `registered`, which only `made` has to precede
STEPS = ("made", "registered", "flashed", "verified", "tested", "labelled")
NEEDS = {"registered": "made", "flashed": "made", "verified": "flashed", "tested": "verified", "labelled": "tested"}


@dataclass(frozen=True)
class Plan:
    """What all boards of a batch have in common; `members`: what else is in each factory record."""

    product: str
    service: str
    server: str
    flash_size: str
    claim_url: str
    title: str
    expect: str
    members: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Seed:
    """A unit that isn't in the journal yet. What is secret isn't shown."""

    serial: str
    secret: str = field(repr=False)
    pattern: str | None = None
    number: int | None = None
    token: str | None = field(default=None, repr=False)
    claim_code: str | None = field(default=None, repr=False)
    members: dict[str, Any] = field(default_factory=dict)
    wifi: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Unit(Seed):
    """One serial number. mac: of the board that has it, or None."""

    batch: str = ""
    mac: str | None = None
    scrapped: str | None = None
