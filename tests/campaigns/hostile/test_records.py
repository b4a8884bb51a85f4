"""Any JSON at all in the records of NVS: nothing but KeeperError is raised, and what is written again fits."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extent import WHOLE
from fake_device import kept_loaded
from fake_flash import sealed_record
from keeper.board.layout import Layout
from keeper.errors import KeeperError, ReleaseError
from keeper.factory.identity import checked, parse
from keeper.nvs.state import RECORD_LIMIT
from keeper.release import Manifest
from keeper.release.policy import Policy
from keeper.remembering.ledger import Ledger
from keeper.services.gecko_dms.joining.record import uuid_of
from keeper.services.gecko_dms.standing import GeckoDms
from keeper.services.version import Version
from keeper.talking import jsontext
from keeper.updating.checkpoint import Checkpoint, is_possible

EXAMPLES = 120 if WHOLE else 40
RUNS, OTHER = "a" * 64, "b" * 64
PART = {"sha256": "0" * 64}
FIELDS = {
    "format": 1,
    "product": "p",
    "version": "1",
    "chip": "esp32",
    "security": 1,
    "created": "2026-11-21T20:13:18Z",
    "parts": [{"name": "app", "size": 8000, **PART}, {"name": "fs", "size": 8192, **PART}],
}
RUNNING, OFFERED = Manifest(FIELDS, RUNS), Manifest(FIELDS, OTHER)
LAYOUT = Layout(*OFFERED.plain())

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=80)
    | st.sampled_from([RUNS, OTHER, "good", "x" * 900, 0, 1, 4096, 1 << 31, 1 << 70]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def record(*names: str) -> st.SearchStrategy[Any]:
    """A record with these fields, some of them with fields of their own; or anything else."""
    inner = st.fixed_dictionaries({}, optional=dict.fromkeys((*INNER, "more"), values))
    return st.fixed_dictionaries({}, optional=dict.fromkeys((*names, "more"), values | inner)) | values


INNER = ("id", "digest", "version", "tries", "why")


class FakeStore:
    """A store that holds one record, as JSON keeps it."""

    def __init__(self, content: Any) -> None:
        self.content = json.dumps(content)

    def load(self, name: str) -> Any:
        found = json.loads(self.content)
        return found if isinstance(found, (dict, list)) else None

    def save(self, name: str, content: Any) -> None:
        self.content = json.dumps({**content, "v": 1})
        assert len(self.content) <= RECORD_LIMIT, "it would be refused, for ever"

    def erase(self, name: str) -> None:
        self.content = "null"


@pytest.fixture(autouse=True, scope="module")
def _quick_collections() -> Iterator[None]:
    """A device collects often: among all that pytest holds, that takes long."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@given(record("id", "digest", "version", "thing", "next", "failed"), st.booleans(), st.booleans())
@settings(max_examples=EXAMPLES)
def test_a_ledger_goes_on_from_any_record(content: Any, aborted: bool, on_trial: bool) -> None:
    ledger = Ledger(FakeStore(content), RUNS, RUNNING.version)
    ledger.speak_of("thing1")
    assert ledger.known_id() is None or isinstance(ledger.known_id(), str)
    ledger.contradicts(Version("good", "n", "", None))
    ledger.awaited_id()
    ledger.settle(aborted, "watchdog", on_trial)
    failure = ledger.untold_failure()
    if failure:
        assert all(isinstance(word, str) for word in failure)
        ledger.told()
    assert ledger.holds_back("good", 1000) in (True, False)
    ledger.expect("good", OFFERED)
    ledger.give_up()
    ledger.confirmed("good")
    assert ledger.known_id() == "good"


@given(record("digest", "part", "size", "at"))
@settings(max_examples=EXAMPLES)
def test_a_checkpoint_is_a_possible_one_or_none(content: Any) -> None:
    store = FakeStore(content)
    from keeper.nvs import state  # as it is loaded now: others may have forgotten it

    with kept_loaded(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(state, "Store", lambda: store)
        _goes_on(Checkpoint())


def _goes_on(checkpoint: Checkpoint) -> None:
    found = checkpoint.recall(OTHER)
    if found and is_possible(found, LAYOUT):
        number, size, place = found
        assert 0 <= number < 2 and 0 <= size <= LAYOUT.parts[number].size and 4096 <= place <= LAYOUT.file_size
        checkpoint.reach(number, size, place, True)
    checkpoint.start(OTHER, 4096)
    assert Checkpoint().recall(OTHER) == (0, 0, 4096)


@given(record("security", "floors", "rest", "revoked"))
@settings(max_examples=EXAMPLES)
def test_a_policy_decides_with_any_record(content: Any) -> None:
    policy = Policy(lambda: "p", {"0" * 16: b"\1" * 384}, ["1" * 16], FakeStore(content), lambda: None)
    policy.proved(RUNNING)
    try:
        policy.admit(b"TKREL001" + bytes(4088), "esp32", 1 << 20)
    except ReleaseError:
        pass


class FakeDms:
    """Takes every credential and gives what it is asked for."""

    def use(self, credential: Any) -> None:
        assert credential is None or isinstance(credential, str)

    def provision(self, token: str, uuid: str) -> str:
        return "c" * 128

    def acknowledge(self) -> None:
        pass

    def activate(self, code: str) -> dict[str, str]:
        return {"product": code, "thing": "a" * 64}

    def rename(self, name: str) -> None:
        pass


IDENTITY = checked({"serial": "S" * 64, "product": "p" * 32, "service": "gecko_dms", "server": "https://" + "x" * 248})
ORIGIN = {"serial": "S" * 64, "uuid": uuid_of(IDENTITY), "service": "gecko_dms", "server": "https://" + "x" * 248}
DMS = ("token", "spent", "credential", "acked", "product", "wanted", "thing", "named")


@given(record(*DMS))
@settings(max_examples=EXAMPLES)
def test_a_standing_with_the_dms_goes_on_from_any_record(content: Any) -> None:
    if isinstance(content, dict):
        content.update(ORIGIN)
    store = FakeStore(content)
    from keeper.services.gecko_dms.joining import provisioning  # as it is loaded now

    with kept_loaded(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(provisioning, "Store", lambda: store)
        for _ in range(2):
            standing = GeckoDms(IDENTITY, FakeDms(), "name")
            standing.recall()
            assert standing.get_provision_status() in (0, 1, 2, 3)
            standing.provision("t" * 64)
            standing.ensure()
            assert standing.active() and standing.thing() and standing.describe()
            standing.activate("q" * 32)
            assert standing.product() == "q" * 32
        standing.forget()
        assert standing.get_provision_status() == 0


@given(record("serial", "product", "service", "server", "plain_http", "ca"))
@settings(max_examples=EXAMPLES)
def test_a_factory_record_is_an_identity_or_refused(content: Any) -> None:
    try:
        found = parse(sealed_record(json.dumps(content).encode()[:4082]))
    except KeeperError as error:
        assert str(error) and "\n" not in str(error)
    else:
        assert found.serial and found.server.startswith(("http://", "https://"))


@given(st.binary(max_size=300) | st.text(alphabet='[]{}",:0e.-\\ua ntrfs', max_size=200).map(str.encode))
@settings(max_examples=EXAMPLES)
def test_any_bytes_are_json_or_a_value_error(data: bytes) -> None:
    for kind in (bytes, bytearray, memoryview):
        try:
            jsontext.loads(kind(data))
        except ValueError as error:
            assert str(error)
