"""Proof of possession: who has the secret gets a key, who knows the serial number only gets a refusal."""

import hashlib
import hmac
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import pytest

import release_support
from thermokeeper.errors import ToolError
from thermokeeper.server.local import LocalServer
from thermokeeper.server.rules import proofs
from thermokeeper.server.rules.ratelimit import Rate
from thermokeeper.server.secrets import fingerprint
from thermokeeper.server.settings import Settings
from thermokeeper.server.storage.database import Database
from thermokeeper.server.storage.models import Product, Serial, Template

CHALLENGE = "/v1/provision/challenge.json"
ACTIVATE = "/v1/provision/activate.json"
SECRET = bytes(range(32))
# the standard library's, not the one that boards and server share
KEY = hmac.digest(SECRET, b"thermokeeper activation key 1", "sha256")


def _proof(number, nonce, key=KEY):
    return hmac.digest(key, f"activate\n{nonce}\n{number}".encode(), "sha256").hex()


def _nonce(http, number):
    response = http.post(CHALLENGE, json={"serialNumber": number})
    assert response.status_code == 200, response.text
    assert response.headers["cache-control"] == "no-store"
    assert set(response.json()) == {"nonce"} and len(response.json()["nonce"]) == 32
    return response.json()["nonce"]


def _activate(http, number, nonce=None, proof=None):
    body = {"serialNumber": number} | ({"nonce": nonce, "proof": proof} if nonce else {})
    return http.post(ACTIVATE, json=body)


@pytest.fixture
def number(shop):
    return shop.serial(proof_key=KEY.hex())


def test_who_has_the_secret_activates_again_and_again(shop, number):
    for count in (1, 2):
        nonce = _nonce(shop.http, number)
        response = _activate(shop.http, number, nonce, _proof(number, nonce))
        assert response.status_code == 200
        assert shop.vendor.thing(number).activation_count == count


def test_who_knows_the_serial_number_only_is_refused_and_drops_no_key(shop, number, refused):
    nonce = _nonce(shop.http, number)
    key = _activate(shop.http, number, nonce, _proof(number, nonce)).json()["apiKey"]
    message = refused(_activate(shop.http, number), 403, "proof_required")
    assert CHALLENGE in message
    nonce = _nonce(shop.http, number)
    refused(_activate(shop.http, number, nonce, "0" * 64), 403, "proof_wrong")
    thing = shop.vendor.thing(number)
    assert thing.activation_count == 1
    assert shop.http.get(f"/v1/things/{thing.id}/version.json", headers={"X-ApiKey": key}).status_code == 204


def test_a_nonce_opens_once(shop, number, refused):
    nonce = _nonce(shop.http, number)
    proof = _proof(number, nonce)
    assert _activate(shop.http, number, nonce, proof).status_code == 200
    refused(_activate(shop.http, number, nonce, proof), 403, "proof_wrong")


def test_a_nonce_is_of_no_other_number_that_ends_like_its_own(tmp_path):
    """What is signed is the nonce and the number behind it: where one ends and the other begins counts, too."""
    opened = Database(None, tmp_path)
    with opened.writing() as session:
        template = Template(name="T")
        product = Product(code="p", name="P", default_template=template)
        session.add_all([template, product, Serial(number="AB", product=product), Serial(number="B", product=product)])
    nonces = proofs.Nonces(opened, b"of the servers")
    nonce = nonces.give("AB")
    said, code = nonce[:-12], nonce[-12:]
    assert not nonces.take(said + b"A".hex() + code, "B")
    assert nonces.take(nonce, "AB")
    opened.close()


def test_a_nonce_is_used_up_by_a_wrong_proof(shop, number, refused):
    nonce = _nonce(shop.http, number)
    refused(_activate(shop.http, number, nonce, _proof(number, nonce, bytes(32))), 403, "proof_wrong")
    refused(_activate(shop.http, number, nonce, _proof(number, nonce)), 403, "proof_wrong")


def test_one_nonce_sent_many_times_at_once_opens_once(shop, number):
    nonce = _nonce(shop.http, number)
    proof = _proof(number, nonce)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: _activate(shop.http, number, nonce, proof).status_code, range(8)))
    assert sorted(answers) == [200] + [403] * 7


def test_another_serial_numbers_nonce_or_proof_is_worth_nothing(shop, number, refused):
    other = shop.serial(proof_key=hmac.digest(b"x" * 32, b"thermokeeper activation key 1", "sha256").hex())
    nonce = _nonce(shop.http, other)
    refused(_activate(shop.http, number, nonce, _proof(number, nonce)), 403, "proof_wrong")
    nonce = _nonce(shop.http, number)
    refused(_activate(shop.http, number, nonce, _proof(other, nonce)), 403, "proof_wrong")
    nonce = _nonce(shop.http, other)
    refused(_activate(shop.http, other, nonce, _proof(other, nonce)), 403, "proof_wrong")


def test_a_nonce_nobody_was_given_is_worth_nothing(shop, number, refused):
    nonce = "0" * 32
    refused(_activate(shop.http, number, nonce, _proof(number, nonce)), 403, "proof_wrong")


@pytest.fixture
def opened(tmp_path):
    """A database with the serial numbers S1 and S2."""
    database = Database(None, tmp_path)
    with database.writing() as session:
        template = Template(name="t")
        product = Product(code="p", name="P", default_template=template)
        session.add_all([Serial(number=number, product=product) for number in ("S1", "S2")])
    yield database
    database.close()


def test_a_nonce_is_good_for_a_minute(opened):
    now_s = [1000.0]
    nonces = proofs.Nonces(opened, bytes(16), lambda: now_s[0])
    fresh, old = nonces.give("S1"), nonces.give("S2")
    now_s[0] += proofs.NONCE_LIFE_S
    assert nonces.take(fresh, "S1")
    now_s[0] += 0.1
    assert not nonces.take(old, "S2")


def test_a_nonce_that_one_server_gave_is_taken_once_by_any(opened):
    one, other = (proofs.Nonces(opened, bytes(16)) for _ in range(2))
    nonce = one.give("S1")
    assert other.take(nonce, "S1")
    assert not one.take(nonce, "S1")
    assert not proofs.Nonces(opened, bytes([1] * 16)).take(one.give("S1"), "S1"), "another database's server"


@pytest.mark.parametrize("place", range(32))
def test_a_nonce_with_another_digit_is_worth_nothing(opened, place):
    nonces = proofs.Nonces(opened, bytes(16))
    nonce = nonces.give("S1")
    changed = nonce[:place] + f"{int(nonce[place], 16) ^ 1:x}" + nonce[place + 1 :]
    assert not nonces.take(changed, "S1")


def test_a_challenge_doesnt_tell_which_serial_numbers_there_are(shop, number):
    shop.vendor.block(number)
    asked = [number, shop.serial(), "NO-SUCH-SERIAL", "with space", "Ünï"]
    answers = [shop.http.post(CHALLENGE, json={"serialNumber": each}) for each in asked]
    forms = {
        (answer.status_code, tuple(answer.json()), tuple(sorted(answer.headers.keys())), len(answer.content))
        for answer in answers
    }
    assert len(forms) == 1


def test_a_blocked_serial_number_is_refused_with_the_right_proof_too(shop, number, refused):
    shop.vendor.block(number)
    nonce = _nonce(shop.http, number)
    refused(_activate(shop.http, number, nonce, _proof(number, nonce)), 403, "serial_blocked")


@pytest.mark.parametrize(
    "extra",
    [
        {"nonce": "0" * 32},
        {"proof": "0" * 64},
        {"nonce": "0" * 32, "proof": "0" * 63},
        {"nonce": "0" * 31, "proof": "0" * 64},
        {"nonce": "0" * 32, "proof": "F" * 64},
        {"nonce": 5, "proof": "0" * 64},
    ],
)
def test_half_a_proof_and_one_of_a_wrong_form_are_malformed(shop, number, refused, extra):
    refused(shop.http.post(ACTIVATE, json={"serialNumber": number, **extra}), 400, "bad_request")


def test_a_device_without_a_secret_activates_unless_its_product_demands_one(shop, refused):
    plain = shop.serial()
    assert _activate(shop.http, plain).status_code == 200
    assert shop.vendor.change_product(shop.tag, proof_required=True).proof_required
    refused(_activate(shop.http, plain), 403, "proof_required")
    nonce = _nonce(shop.http, plain)
    refused(_activate(shop.http, plain, nonce, _proof(plain, nonce)), 403, "proof_wrong")
    assert not shop.vendor.change_product(shop.tag, proof_required=False).proof_required
    assert _activate(shop.http, plain).status_code == 200


def test_where_a_proof_is_demanded_activation_tells_nobody_which_serial_numbers_there_are(tmp_path, make_shop):
    with LocalServer(tmp_path) as server, httpx.Client(base_url=server.url) as http:
        shop = make_shop(server, http)
        shop.vendor.change_product(shop.tag, proof_required=True)
        keyed, keyless, blocked = shop.serial(proof_key=KEY.hex()), shop.serial(), shop.serial(proof_key=KEY.hex())
        shop.vendor.block(blocked)
        numbers = keyed, keyless, blocked, "NONE1", "no serial number at all", "x" * 64
        bare = [_activate(http, number) for number in numbers]
        tried = [_activate(http, number, _nonce(http, number), "0" * 64) for number in numbers]
        for answers in (bare, tried):
            assert len({(answer.status_code, answer.content) for answer in answers}) == 1, answers
        nonce = _nonce(http, keyed)
        assert _activate(http, keyed, nonce, _proof(keyed, nonce)).status_code == 200
        shop.vendor.close()


def test_strangers_use_up_no_tries_of_a_device_that_proves_itself(tmp_path, make_shop):
    """Whatever they write in the place of a serial number: only tries of the device's own address are counted."""
    rates = replace(Settings(tmp_path, ""), serial_rate=Rate(3, 1e6), client_rate=Rate(1000, 1))
    with LocalServer(tmp_path, settings=rates) as server, httpx.Client(base_url=server.url) as http:
        shop = make_shop(server, http)
        number = shop.serial(proof_key=KEY.hex())
        for text in (number, f"127.0.0.1 {number}", f"{number} 127.0.0.1", f"{number}\n127.0.0.1"):
            for _ in range(8):
                _activate(http, text)
                http.post(CHALLENGE, json={"serialNumber": text}) if text != number else None
        owner = {"X-OwnerToken": shop.owner().token}
        for _ in range(8):
            http.post("/v1/owner/claims.json", json={"serialNumber": number}, headers=owner)
        nonce = _nonce(http, number)
        assert _activate(http, number, nonce, _proof(number, nonce)).status_code == 200
        shop.vendor.close()


def test_a_device_with_a_secret_that_the_server_doesnt_know_is_as_one_without(shop):
    plain = shop.serial()
    nonce = _nonce(shop.http, plain)
    assert _activate(shop.http, plain, nonce, _proof(plain, nonce)).status_code == 200


def test_a_key_can_be_given_later_and_taken_away(shop, refused):
    number = shop.serial()
    assert shop.vendor.serial(number).proof_key_id is None
    changed = shop.vendor.change_serial(number, proof_key=KEY.hex())
    assert changed.proof_key_id == hashlib.sha256(KEY).hexdigest()[:32]
    refused(_activate(shop.http, number), 403, "proof_required")
    shop.vendor.change_serial(number, target_version=None)
    assert shop.vendor.serial(number).proof_key_id, "what is left out stays"
    assert shop.vendor.change_serial(number, proof_key=None).proof_key_id is None
    assert _activate(shop.http, number).status_code == 200


def test_many_serial_numbers_come_each_with_its_own_key(shop):
    numbers = [f"K{index}-{shop.tag}" for index in range(3)]
    keys = {number: hashlib.sha256(number.encode()).hexdigest() for number in numbers[:2]}
    assert shop.vendor.add_serials(shop.tag, numbers, proof_keys=keys) == 3
    found = [shop.vendor.serial(number).proof_key_id for number in numbers]
    assert found == [*(fingerprint(keys[number]) for number in numbers[:2]), None]
    with pytest.raises(ToolError, match="proofKey|proof_key"):
        shop.vendor.add_serial(shop.tag, f"K9-{shop.tag}", proof_key="abc")


def test_no_key_is_ever_told_or_logged(shop, number, caplog):
    caplog.set_level(logging.DEBUG)
    nonce = _nonce(shop.http, number)
    _activate(shop.http, number, nonce, "0" * 64)
    told = repr(shop.vendor.serial(number)) + shop.http.get("/openapi.json").text + caplog.text
    headers = {"X-VendorToken": shop.server.vendor_token}
    told += shop.http.get(f"/v1/vendor/serials/{number}.json", headers=headers).text
    assert "wrong proof" in told
    assert KEY.hex() not in told


def test_commands_show_and_change_who_has_to_prove_itself(shop, number):
    def tool(*arguments):
        vendor = ("--server", shop.server.url, "--vendor-token", shop.server.vendor_token)
        return re.sub(" +", "  ", release_support.tool(*arguments, *vendor))

    code = f"{shop.tag}-2"
    try:
        assert "proof  required  no" in tool("product", "set", shop.tag, "--no-proof-required")
        assert "proof  required  yes" in tool("product", "set", shop.tag, "--proof-required")
        made = tool("product", "create", code, "--name", "P", "--template", shop.template.id, "--proof-required")
        assert "proof  required  yes" in made
        assert "has  to  prove  itself  yes" in tool("serial", "show", number)
        assert "has  to  prove  itself  no" in tool("serial", "set", number, "--no-proof")
    finally:  # where one product demands proofs, other tests of this server are told nothing of unknown numbers
        for each in (shop.tag, code):
            tool("product", "set", each, "--no-proof-required")


def _rated_server(folder, serial_rate, client_rate):
    return LocalServer(folder, settings=replace(Settings(folder, ""), serial_rate=serial_rate, client_rate=client_rate))


def test_challenges_and_wrong_proofs_are_tries_and_there_are_only_so_many(tmp_path, make_shop, refused):
    often, rare = Rate(1000, 1), Rate(6, 1000)
    with _rated_server(tmp_path, often, rare) as server, httpx.Client(base_url=server.url) as http:
        shop = make_shop(server, http)
        number = shop.serial(proof_key=KEY.hex())
        nonces = [_nonce(http, number) for _ in range(6)]
        assert len(set(nonces)) == 6
        for nonce in nonces:
            answer = _activate(http, number, nonce, "0" * 64)
            if answer.status_code == 429:
                break
        else:
            pytest.fail("never too many")
        assert int(answer.headers["retry-after"]) > 0
        shop.vendor.close()


def test_who_only_knows_the_serial_number_cant_use_up_its_devices_tries(tmp_path, make_shop, refused):
    rare, often = Rate(3, 1000), Rate(1000, 1)
    with _rated_server(tmp_path, rare, often) as server, httpx.Client(base_url=server.url) as http:
        shop = make_shop(server, http)
        number = shop.serial(proof_key=KEY.hex())
        statuses = [_activate(http, number).status_code for _ in range(5)]
        assert statuses == [403, 403, 403, 429, 429]
        nonce = _nonce(http, number)
        assert _activate(http, number, nonce, _proof(number, nonce)).status_code == 200
        shop.vendor.close()


def test_a_proof_that_nobody_asked_for_opens_no_second_way_to_guess(tmp_path, make_shop):
    rare, often = Rate(2, 1000, success_cost=1), Rate(1000, 1)
    with _rated_server(tmp_path, rare, often) as server, httpx.Client(base_url=server.url) as http:
        shop = make_shop(server, http)
        number = shop.serial()
        assert [_activate(http, number).status_code for _ in range(3)] == [200, 200, 429]
        assert _activate(http, number, "0" * 32, "0" * 64).status_code == 429
        shop.vendor.close()
