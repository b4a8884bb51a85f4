"""Makes a batch: what it is to be is checked, what its boards are made of put by, its serial numbers entered.

All of it is made, or the journal knows nothing of it. Everything that a board or a label couldn't bear is refused
before, as a ToolError. What is still to do for its boards is the server's registration and the line.
"""

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thermokeeper.contract import claim_codes
from thermokeeper.contract.fields import is_serial_number
from thermokeeper.errors import ToolError
from thermokeeper.factory import label, serials, stock
from thermokeeper.factory.journal import Journal
from thermokeeper.factory.lock import alone
from thermokeeper.factory.units import Plan, Seed
from thermokeeper.formats import members as record_members
from thermokeeper.formats.nvs import parse_network
from thermokeeper.release import authority

_EXAMPLE = claim_codes.CODE_EXAMPLE


@dataclass(frozen=True)
class Order:
    """What a batch is to be; the options of `thermokeeper factory new` say what each field is.

    Serial numbers are of a pattern and a count, or of a CSV file. members: settings as texts, like "period_s=10".
    """

    firmware: Path
    release: Path
    vfs: Path
    server: str
    service: str
    flash_size: str
    claim_url: str
    expect: str
    pattern: str | None = None
    count: int | None = None
    start: int | None = None
    csv: Path | None = None
    trust: tuple[Path, ...] = ()
    plain_http: bool = False
    ca: Path | None = None
    product: str | None = None
    wifi: str | None = None
    token_file: Path | None = None
    members: tuple[str, ...] = ()
    title: str | None = None


def make(folder: Path, batch: str, order: Order) -> list[Seed]:
    """Make the batch in the factory's folder; its units, in their order."""
    if (order.pattern is None) == (order.csv is None) or (order.count is None) != (order.pattern is None):
        raise ToolError("which serial numbers? give --pattern and --count, or --csv")
    _check_name(batch)
    _check_expected(order.expect)
    plan = _plan(order)
    token = serials.read_token_file(order.token_file) if order.token_file else None
    with alone(folder, "new"):
        journal = Journal(folder)
        journal.check_new(batch)
        made = _checked(plan, _seeds(order, journal, token), order.wifi)
        place = folder / "batches" / batch
        stock.put_by(place, order.firmware, order.release, order.vfs)
        of = stock.Stock(place, plan)
        for seed in made:
            of.record(seed)  # each has to be one that a board would accept
        journal.add_batch(batch, plan, made)
    return made


def _plan(order: Order) -> Plan:
    """What all boards have in common; the release says what the order leaves open."""
    found = stock.checked_release(order.release, order.trust)
    members = dict(_setting(text) for text in order.members)
    record_members.check_server(order.server)
    record_members.check_service(order.service)
    if order.plain_http:
        members["plain_http"] = True
    if order.ca:
        members["ca"] = authority.for_record(order.ca)
    product = order.product or found.manifest.product
    record_members.check(members, product)
    title = order.title or product
    return Plan(product, order.service, order.server, order.flash_size, order.claim_url, title, order.expect, members)


def _seeds(order: Order, journal: Journal, token: str | None) -> list[Seed]:
    if order.pattern is not None and order.count is not None:
        serials.check_pattern(order.pattern)
        first = journal.next_number(order.pattern) if order.start is None else order.start
        return list(serials.from_pattern(order.pattern, first, order.count, token))
    assert order.csv is not None
    return list(serials.from_csv(order.csv, token))


def _checked(plan: Plan, seeds: list[Seed], wifi: str | None) -> list[Seed]:
    """The seeds with what the batch gives them; ToolError for what no label or board could bear."""
    if wifi:
        parse_network(wifi)
    if not seeds:
        raise ToolError("a batch needs at least one serial number")
    for seed in seeds:
        label.claim_url(plan.claim_url, seed.serial, _EXAMPLE)
        record_members.check(seed.members, plan.product)
    longest = max((seed.serial for seed in seeds), key=len)
    label.svg(label.Label(plan.title, longest, label.claim_url(plan.claim_url, longest, _EXAMPLE), _EXAMPLE))
    # one of the other service is claimed by its uuid: that it has a token says enough
    coded = plan.service == "gadgetkeeper"
    return [
        dataclasses.replace(seed, wifi=seed.wifi or wifi, claim_code=claim_codes.new_code() if coded else None)
        for seed in seeds
    ]


def _check_name(batch: str) -> None:
    if not is_serial_number(batch):  # it becomes the name of a folder
        raise ToolError(f"{batch!r} can't be a batch's name: letters, digits, - _ and .")


def _check_expected(expect: str) -> None:
    try:
        re.compile(expect)
    except re.error as error:
        raise ToolError(f"--expect: not a regular expression: {error}") from None


def _setting(text: str) -> tuple[str, Any]:
    name, value = record_members.parse(text)
    if name in ("secret", "token"):
        raise ToolError(f"--set {name}: each board has its own; the factory makes them, or --csv has them")
    return name, value
