"""The network goes wrong at each exchange of a board's life, in every way; the life ends as if nothing had been.

What is checked at the end of each life is in life.py. `make exchanges` prints the campaign's table.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from exchanges.campaign import Crew, harmed, places, story
from exchanges.harms import HARMS, PlannedHarm
from exchanges.life import Life
from exchanges.proxy import Request
from exchanges.report import Report, campaign, table
from exchanges.setting import Change, Goods, Service, service
from exchanges.worker import DMS, GADGETKEEPER, LIVES, hasty
from extent import WHOLE

pytestmark = [
    pytest.mark.sampled,
    pytest.mark.timeout(900),  # the first test that looks at the campaign waits for all of it
]

# The server has done it, and the board doesn't know.
LOST = ("cut before the answer", "reset before the answer", "cut in the head", "stall in the head")

# These come to each exchange, or to the first of each label; of the others each comes to every so manieth.
# `make exchanges` has them all. In a sample each harm comes once.
AT_EACH = (*LOST, "led away") if WHOLE else (LOST[0], "led away")
TURNS, STORMS = 6, 24 if WHOLE else 0

# On MicroPython: one harm after the other, each at another exchange.
SAMPLE = (
    "cut before the answer",
    "done after the next one",
    "done twice, first answer",
    "cut in the head",
    "503, later",
    "reset in the body",
    "body lengthened",
    "stall in the body",
    "body garbled",
    "connection refused",
    "answer given to the next one",
    "led away",
)


@dataclass(frozen=True)
class Guard:
    """What protects a life: the change of lib/ that takes it out, and a harm that must show then.

    The harm comes at the first request with this label that follows one with the other, if that is given.
    """

    change: Change
    harm: str
    label: str
    problem: str
    after: str = ""
    cloud: str = GADGETKEEPER


GUARDS = {
    "a key is not sent along a redirect": Guard(
        (("keeper/talking/http.py", "                auth = None  # for good", "                pass  # for good"),),
        "led away",
        "GET target-version",
        "sent its key to another server",
    ),
    "a dropped key leads to an activation": Guard(
        (
            (
                "keeper/services/gadgetkeeper/standing.py",
                "if error.status != 401 and error.code not in _WRONG_THING:",
                "if True:",
            ),
        ),
        "done twice, first answer",
        "POST activate",
        "isn't at its end",
    ),
    "readings hold up the reset": Guard(
        (("thermometer/app.py", "if self._reporter.flush():", "if self._reporter.flush() or True:"),),
        "cut before the request",
        "POST datapoints",
        "readings lost",
        after="GET firmware.bin",
    ),
    "readings are delivered when the server says so": Guard(
        (
            (
                "keeper/services/gadgetkeeper/wire.py",
                "check_status(response, (204,))",
                "check_status(response, (200, 204))",
            ),
        ),
        "log-in page",
        "POST datapoints",
        "readings lost",
    ),
    "a pause that the server asks for is kept": Guard(
        (("keeper/backoff.py", "if retry_after_ms:", "if False:"),),
        "503, later",
        "GET target-version",
        "not after 40 s",
    ),
    "a name that may not have arrived is given again": Guard(
        (("keeper/services/gadgetkeeper/joining/credentials.py", 'found["thing"] == standing.named_thing', "True"),),
        "cut before the request",
        "PUT name",
        "the server knows",
    ),
    "a wait has an end": Guard(
        (
            ("keeper/talking/patience.py", "if idle_ms <= 0:", "if False:"),
            ("keeper/talking/patience.py", "if left_ms <= 0:", "if False:"),
            ("keeper/talking/patience.py", "min(_SLICE_MS, idle_ms, left_ms)", "_SLICE_MS"),
        ),
        "stall in the head",
        "PUT version",
        "isn't at its end",
    ),
    "an update waits for its confirmation to be taken": Guard(
        (
            (
                "keeper/changing/target.py",
                "    life.cloud.confirm(version_id)\n    ledger.confirmed(version_id)\n",
                "    ledger.confirmed(version_id)\n    life.cloud.confirm(version_id)\n",
            ),
        ),
        "cut before the request",
        "PUT version",
        "isn't at its end",
        after="GET firmware.bin",
    ),
    "a credential that was replaced is got again": Guard(
        (
            (
                "keeper/services/gecko_dms/joining/provisioning.py",
                "if error.status != 401 or error.code != _UNKNOWN:\n            raise\n",
                "if True:\n            raise\n",
            ),
        ),
        "done twice, first answer",
        "POST provision",
        "isn't at its end",
        cloud=DMS,
    ),
}


@pytest.fixture(scope="module")
def goods_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("goods")
    Goods.make(folder)
    return folder


@pytest.fixture(scope="module")
def report(goods_folder: Path) -> Report:
    """The campaign, lived once for all tests that look at it."""
    return campaign(goods_folder, whole=AT_EACH, storm_count=STORMS, turns=TURNS)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("server")) as found:
        yield found


@pytest.fixture
def new_life(goods_folder: Path, served: Service, tmp_path: Path) -> Callable[..., Life]:
    """Makes a life on CPython in this process: `new_life(activations=1)`."""
    goods = Goods(goods_folder, source=True)
    return lambda **options: Life("life", goods, served, tmp_path, **options)


# the campaign


def test_a_life_with_any_exchange_harmed_in_any_way_ends_as_the_clean_one(report):
    print("\n".join(table(report)))
    assert not report.failed, report.complaint()
    lived = {name: sorted(number for number, _ in report.of(name)) for name in HARMS}
    assert lived == {name: places(report.clean, name, AT_EACH, TURNS) for name in HARMS}
    assert all(lived.values()), "each harm is lived"
    in_vain = [outcome.name for _, outcome in report.lived if outcome.in_vain]
    assert not in_vain, "there was nothing to harm"


def test_an_activation_whose_answer_was_lost_costs_one_more_and_no_other_lost_answer_does(report):
    for harm in LOST:
        for number, outcome in report.of(harm):
            expected = Life.clean_activations + (outcome.exchanges[number][0] == "POST activate")
            assert outcome.activations == expected, story(outcome)


def test_a_confirmation_whose_answer_was_lost_is_sent_again(report):
    confirmations = [number for number, exchange in enumerate(report.clean.exchanges) if exchange[0] == "PUT version"]
    for harm in LOST:
        for number, outcome in report.of(harm):
            if number == confirmations[-1]:
                sent = [exchange[0] for exchange in outcome.exchanges].count("PUT version")
                assert sent == len(confirmations) + 1, story(outcome)


def test_readings_whose_answer_was_lost_are_sent_again(report):
    for harm in LOST:
        for number, outcome in report.of(harm):
            later = [exchange[0] for exchange in outcome.exchanges[number + 1 :]]
            if outcome.exchanges[number][0] == "POST datapoints" and later:  # the last ones end the life
                assert "POST datapoints" in later, story(outcome)


def test_a_board_is_led_to_another_server_and_asks_it_without_its_key(report):
    asked = {outcome.exchanges[number][0] for number, outcome in report.of("led away") if outcome.led}
    assert asked == {"GET target-version", "GET version", "GET firmware.bin"}


@pytest.mark.whole
def test_a_life_with_a_dms_ends_as_the_clean_one_whatever_is_harmed_in_any_way(goods_folder):
    # An answer is lost at each exchange; each other harm comes to one or two, `make exchanges` has them all.
    report = campaign(goods_folder, whole=LOST[:1], storm_count=2, turns=11, cloud=DMS)
    print("\n".join(table(report)))
    assert not report.failed, report.complaint()
    assert {exchange[0] for exchange in report.clean.exchanges} == {
        *("POST provision", "PUT provision", "POST activate", "PUT thing", "GET firmware", "GET current"),
        *("GET release", "PUT firmware", "POST temperature"),
    }
    assert [name for name in HARMS if not report.of(name)] == []


@pytest.mark.whole
def test_lives_on_micropython_end_as_the_clean_one(goods_folder):
    with Crew(goods_folder, 2) as crew:
        ((_, clean),) = crew.live([{"name": "clean", "runtime": "micropython"}])
        assert not clean.problems, story(clean)
        numbers = [len(clean.exchanges) * place // len(SAMPLE) for place in range(len(SAMPLE))]
        cases = [harmed(number, harm, "micropython") for number, harm in zip(numbers, SAMPLE, strict=True)]
        for _, outcome in crew.live(cases):
            assert not outcome.problems, story(outcome)


@pytest.mark.parametrize("name", GUARDS)
def test_without_this_guard_a_life_goes_wrong(name, served, goods_folder, tmp_path):
    guard = GUARDS[name]
    shutil.copytree(goods_folder / "keys", tmp_path / "goods" / "keys")
    Goods.make(tmp_path / "goods", guard.change, compiled=False)
    life = LIVES[guard.cloud](name, Goods(tmp_path / "goods", source=True), served, tmp_path, activations=9)
    life.limit_ms = 15 * 60_000

    def choose(request: Request) -> PlannedHarm | None:
        before = life.proxy.records[:-1]
        if any(record.harm for record in before) or request.label != guard.label:
            return None
        if guard.after and (not before or before[-1].label != guard.after):
            return None
        return HARMS[guard.harm].at(1)

    life.proxy.choose = choose
    outcome = life.live()
    if HARMS[guard.harm].least_pause_ms:
        outcome.problems += hasty(outcome)
    assert any(guard.problem in found for found in outcome.problems), story(outcome)


# pauses


def pauses_of(life: Life, label: str, count: int) -> list[float]:
    """Let the server fail so many times at a request; the pauses between the tries, in ms."""
    tried: list[float] = []

    def choose(request: Request) -> PlannedHarm | None:
        if request.label != label or len(tried) > count:
            return None
        tried.append(life.now_ms())
        return HARMS["500"].at(0) if len(tried) <= count else None

    life.pace["period_s"] = 60  # what is measured has to fit into RAM meanwhile
    life.proxy.choose = choose
    outcome = life.live()
    assert not outcome.problems, story(outcome)
    assert len(tried) == count + 1
    return [later - earlier for earlier, later in pairwise(tried)]


@pytest.mark.whole
@pytest.mark.parametrize(("label", "base_ms"), [("POST activate", 2_000), ("POST datapoints", 5_000)])
def test_pauses_between_tries_grow_up_to_a_cap_with_jitter(label, base_ms, new_life):
    pauses = pauses_of(new_life(), label, 12)
    top_ms = base_ms
    places = []
    for pause_ms in pauses:
        assert top_ms / 2 <= pause_ms <= top_ms + 500, pauses
        places.append(pause_ms / top_ms)
        top_ms = min(2 * top_ms, 900_000)
    assert top_ms == 900_000
    assert max(places) - min(places) > 0.1, "no jitter"


# a download


def test_a_download_that_breaks_goes_on_where_it_stood(new_life):
    life = new_life()
    broken: list[Request] = []

    def choose(request: Request) -> PlannedHarm | None:
        if request.label != "GET firmware.bin" or request.headers["range"].startswith("bytes=0-") or len(broken) == 3:
            return None
        broken.append(request)
        return HARMS["cut in the body"].at(len(broken))

    life.proxy.choose = choose
    outcome = life.live()
    assert not outcome.problems, story(outcome)
    asked = [record.request for record in life.proxy.records if record.label == "GET firmware.bin"]
    starts = [int(request.headers["range"].partition("=")[2].partition("-")[0]) for request in asked]
    onward = [start for start in starts if start]
    assert onward == sorted(set(onward)) and len(onward) == 4
    assert all("if-range" in request.headers for request, start in zip(asked, starts, strict=True) if start > 4096)


# the time


def test_readings_dated_by_the_server_s_clock_arrive_once_however_often_an_answer_is_lost(new_life):
    life = new_life()
    life.world.update(ntp="off")
    lost: list[Request] = []

    def choose(request: Request) -> PlannedHarm | None:
        if request.label != "POST datapoints" or len(lost) == 5:
            return None
        lost.append(request)
        return HARMS["cut before the answer"].at(0)

    life.proxy.choose = choose
    outcome = life.live()
    assert not outcome.problems, story(outcome)
    assert lost[0].body == lost[1].body
    assert all(b'"at"' in request.body for request in lost)
