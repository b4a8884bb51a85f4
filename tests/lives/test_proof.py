"""Proof of possession: the board with the secret gets its key back, and who only knows its serial gets none."""

import httpx
import pytest

from keeper.services.gadgetkeeper.joining import proof
from lives.front import cut_after
from lives.kit import PRODUCT, SERIAL

SECRET = bytes(range(100, 132)).hex()
KEY = proof.key_of(bytes.fromhex(SECRET)).hex()
ACTIVATE = "POST /v1/provision/activate.json"
CHALLENGE = "POST /v1/provision/challenge.json"


@pytest.fixture
def proven(life):
    """A board with a secret, whose server knows the key."""
    life.vendor.change_serial(SERIAL, proof_key=KEY)
    return life.made(secret=SECRET)


def attack(life, **members):
    """What somebody does who knows the serial."""
    url = f"{life.company.server.url}/v1/provision/activate.json"
    return httpx.post(url, json={"serialNumber": SERIAL, **members})


def test_a_board_with_a_secret_activates_and_the_one_who_knows_its_serial_doesnt_lock_it_out(proven):
    proven.boots()
    proven.says("activate", "done")
    proven.says("confirm")
    assert attack(proven).json()["error"]["code"] == "proof_required"
    assert attack(proven, nonce="0" * 32, proof="0" * 64).json()["error"]["code"] == "proof_wrong"
    proven.measures(3)
    proven.off()
    assert proven.thing.activation_count == 1
    proven.boots()
    proven.says("version", "up to date")
    proven.off()
    assert len(proven.said("activate")) == 2, "one line that it begins, one that it is done"


def test_a_board_that_lost_its_key_proves_itself_anew(proven):
    proven.boots()
    proven.says("confirm")
    proven.off()
    proven.change_nvs(lambda open_: open_("keeper").erase_key("cloud"))
    proven.boots()
    proven.says("activate", "done")
    proven.off()
    assert proven.thing.activation_count == 2
    bodies = [request.raw for request in proven.front.asked(ACTIVATE)]
    nonces = [body.split(b'"nonce": "', 1)[1][:32] for body in bodies]
    assert len(set(nonces)) == len(nonces) == 2


def test_a_lost_answer_costs_another_nonce_and_nothing_else(proven):
    proven.front.on(CHALLENGE, cut_after(20), times=1)
    proven.front.on(ACTIVATE, cut_after(20), times=1)
    proven.boots()
    proven.says("activate", "done")
    proven.says("confirm")
    proven.off()
    assert proven.thing.activation_count == 2, "the first answer was lost behind the server"
    assert len(proven.front.asked(CHALLENGE)) == 3


def test_a_board_that_doesnt_know_the_time_proves_itself_all_the_same(proven):
    proven.world.update(ntp="off")
    proven.boots()
    proven.says("activate", "done")
    proven.off()
    assert not [text for text in proven.said("clock") if "set by" in text]


def test_what_was_overheard_opens_nothing(proven):
    proven.boots()
    proven.says("activate", "done")
    proven.off()
    (request,) = proven.front.asked(ACTIVATE)
    overheard = httpx.post(
        f"{proven.company.server.url}/v1/provision/activate.json",
        content=request.raw.split(b"\r\n\r\n", 1)[1],
        headers={"Content-Type": "application/json"},
    )
    assert overheard.json()["error"]["code"] == "proof_wrong"
    assert SECRET.encode() not in b"".join(request.raw for request in proven.front.requests)
    assert proven.thing.activation_count == 1


def test_a_board_with_another_secret_is_refused_and_goes_on_measuring(life):
    life.vendor.change_serial(SERIAL, proof_key=KEY)
    life.made(secret="00" * 32)
    life.boots()
    life.measures(2)
    life.off()
    assert life.vendor.serial(SERIAL).thing is None
    assert life.front.asked(ACTIVATE)


def test_a_board_without_a_secret_asks_for_no_challenge(life):
    life.boots()
    life.says("activate", "done")
    life.off()
    assert not life.front.asked(CHALLENGE)
    life.vendor.change_product(PRODUCT, proof_required=True)
    life.change_nvs(lambda open_: open_("keeper").erase_key("cloud"))
    life.boots()
    life.measures(2)
    life.off()
    assert life.thing.activation_count == 1, "its product demands a proof now"


def test_a_record_with_a_broken_secret_is_refused_and_the_board_only_measures(life):
    life.made(secret="not a secret")
    life.boots()
    life.says("state", "secret isn't 64 hex digits")
    life.measures(2)
    life.off()
    assert not life.front.requests
