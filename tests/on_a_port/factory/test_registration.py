"""A batch goes to the real server: each serial number with its key, once, whatever answers are lost on the way."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import httpx
import pytest

from keeper.services.gadgetkeeper.joining import proof
from thermokeeper.client.calls import OwnerClient, VendorClient
from thermokeeper.contract import claim_codes
from thermokeeper.errors import ToolError
from thermokeeper.factory import registration
from thermokeeper.server.local import LocalServer

_numbers = itertools.count(1)


class Losing(VendorClient):
    """Loses the answers to POST requests, by their number; the server has done what it was asked."""

    lose: frozenset[int] = frozenset()
    posts = 0

    def _call(self, kind, method, path, body=None, **options):  # type: ignore[override]
        found = super()._call(kind, method, path, body, **options)
        if method == "POST":
            self.posts += 1
            if self.posts in self.lose:
                raise ToolError("the server does not answer in time")
        return found


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[LocalServer]:
    with LocalServer(tmp_path_factory.mktemp("server")) as running:
        with VendorClient(running.url, running.vendor_token) as vendor:
            vendor.create_product("thermometer", "Thermometer", vendor.create_template("Thermometer").id)
        yield running


@pytest.fixture
def client(server) -> Iterator[Losing]:
    with Losing(server.url, server.vendor_token) as made:
        yield made


@pytest.fixture
def pattern() -> str:
    """One of its own for each test: they share the server."""
    return f"R{next(_numbers)}-{os.getpid()}-{{:04d}}"


def _options(server):
    return "--server", server.url, "--vendor-token", server.vendor_token


def test_the_server_gets_each_serial_number_with_its_key(factory, pattern, server, client):
    factory.new("first", "--pattern", pattern, "--count", 5)
    assert "5 serial numbers registered" in factory.tool("register", "first", *_options(server))
    assert "0 serial numbers registered" in factory.tool("register", "first", *_options(server))
    for unit in factory.journal.units("first"):
        assert "registered" in factory.journal.steps(unit.serial)
        key = proof.key_of(bytes.fromhex(unit.secret))
        with httpx.Client(base_url=server.url) as http:
            body = {"serialNumber": unit.serial}
            assert http.post("/v1/provision/activate.json", json=body).json()["error"]["code"] == "proof_required"
            body["nonce"] = http.post("/v1/provision/challenge.json", json=body).json()["nonce"]
            body["proof"] = proof.answer(key, unit.serial, body["nonce"])
            assert http.post("/v1/provision/activate.json", json=body).status_code == 200


def test_who_has_the_label_can_claim_and_the_server_never_had_the_code(factory, pattern, server, client):
    factory.new("first", "--pattern", pattern, "--count", 2)
    factory.tool("register", "first", *_options(server))
    first, second = factory.journal.units("first")
    assert first.claim_code and second.claim_code and first.claim_code != second.claim_code
    with OwnerClient(server.url, client.create_owner(f"Owner of {first.serial}").token) as owner:
        for code in (None, second.claim_code):
            with pytest.raises(ToolError, match="claim_code"):
                owner.claim(first.serial, code=code)
        assert owner.claim(first.serial, code=first.claim_code).serial_number == first.serial
    for unit in (first, second):
        assert unit.claim_code.encode() not in b"".join(
            path.read_bytes() for path in server.settings.data_dir.glob("thermokeeper.db*")
        )


def test_a_serial_number_with_another_claim_code_is_not_taken_for_ours(factory, pattern, client):
    factory.new("first", "--pattern", pattern, "--count", 1)
    unit = factory.journal.units("first")[0]
    key = proof.key_of(bytes.fromhex(unit.secret)).hex()
    client.add_serial("thermometer", unit.serial, proof_key=key)
    with pytest.raises(ToolError, match=f"{unit.serial} from elsewhere"):
        registration.register(factory.journal, "first", client)


@pytest.mark.parametrize("lost", [{1}, {2}, {1, 2}, {1, 3, 4}])
def test_lost_answers_are_made_good_by_the_next_try(factory, pattern, client, monkeypatch, lost):
    monkeypatch.setattr(registration, "_AT_ONCE", 2)
    factory.new("first", "--pattern", pattern, "--count", 5)
    client.lose = frozenset(lost)
    tries = 0
    while True:
        tries += 1
        try:
            registration.register(factory.journal, "first", client)
            break
        except ToolError as error:
            assert "in time" in str(error)
    assert tries > 1
    for unit in factory.journal.units("first"):
        assert "registered" in factory.journal.steps(unit.serial)
        assert client.serial(unit.serial).product == "thermometer"


def test_a_chunk_that_is_there_in_part_is_completed(factory, pattern, client):
    factory.new("first", "--pattern", pattern, "--count", 3)
    unit = factory.journal.units("first")[1]
    key = proof.key_of(bytes.fromhex(unit.secret)).hex()
    claim_hash = claim_codes.hashed(unit.claim_code, unit.serial)
    client.add_serial("thermometer", unit.serial, proof_key=key, claim_hash=claim_hash)
    assert registration.register(factory.journal, "first", client) == 3


def test_a_serial_number_that_is_on_the_server_from_elsewhere_is_not_taken_for_ours(factory, pattern, client):
    factory.new("first", "--pattern", pattern, "--count", 2)
    taken = factory.journal.units("first")[0].serial
    client.add_serial("thermometer", taken)
    with pytest.raises(ToolError, match=f"{taken} from elsewhere"):
        registration.register(factory.journal, "first", client)
    assert "registered" not in factory.journal.steps(taken)


def test_boards_of_a_dms_get_a_token_each_which_goes_into_their_record(factory, pattern, client):
    factory.new("first", "--pattern", pattern, "--count", 2, "--service", "gecko_dms")
    client.lose = frozenset({2})
    with pytest.raises(ToolError, match="in time"):
        registration.register(factory.journal, "first", client)
    assert registration.register(factory.journal, "first", client) == 2
    tokens = [unit.token for unit in factory.journal.units("first")]
    assert [unit.claim_code for unit in factory.journal.units("first")] == [None, None], "claimed by uuid"
    assert None not in tokens and len(set(tokens)) == 2
    serials = {unit.serial for unit in factory.journal.units("first")}
    bound = [token for token in client.dms_tokens() if token.name in serials]
    assert all(token.uuid for token in bound) and len(bound) == 3, "one is unused: its answer was lost"


def test_boards_are_made_only_once_the_server_knows_them(factory, pattern):
    factory.new("first", "--pattern", pattern, "--count", 1)
    with pytest.raises(ToolError, match="factory register first"):
        factory.tool("run", "first", "--port", "/dev/ttyNowhere")
    with pytest.raises(ToolError, match="1 of 1 boards failed"):
        factory.tool("run", "first", "--port", "/dev/ttyNowhere", "--unregistered-ok")
