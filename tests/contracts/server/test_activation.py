"""Activation: who gets a key, that there is never more than one, and how things are named."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from thermokeeper.server.local import LocalServer
from thermokeeper.server.rules.ratelimit import Rate, RateLimiter, caller_of
from thermokeeper.server.settings import Settings

PATH = "/v1/provision/activate.json"


def test_activation_gives_a_key_and_makes_the_thing_with_a_generated_name(shop):
    response = shop.http.post(PATH, json={"serialNumber": (number := shop.serial())})
    assert response.status_code == 200
    assert set(response.json()) == {"apiKey", "thingId"}
    for value in response.json().values():
        assert len(value) == 32 and set(value) <= set("0123456789abcdef")
    assert response.headers["cache-control"] == "no-store"
    thing = shop.vendor.thing(number)
    assert (thing.id, thing.name, thing.activation_count) == (response.json()["thingId"], "Thermometer 1", 1)
    assert shop.device() and [found.name for found in shop.vendor.things() if found.product == shop.tag] == [
        "Thermometer 1",
        "Thermometer 2",
    ]


def test_a_generated_name_is_not_one_that_is_taken(shop):
    device = shop.device()
    assert device.call("PUT", ".json", {"name": "Thermometer 2"}).status_code == 200
    assert shop.vendor.thing(shop.device().number).name == "Thermometer 3"


def test_every_activation_makes_a_new_key_and_drops_the_old_one(shop, refused):
    device = shop.device()
    old_key, thing = device.key, device.thing
    assert device.call("PUT", ".json", {"name": "Mine"}).status_code == 200
    device.activate()
    assert (device.thing, device.key != old_key) == (thing, True)
    assert shop.vendor.thing(thing).name == "Mine", "an existing thing is left as it is"
    refused(device.call("GET", "/version.json", headers={"X-ApiKey": old_key}), 401, "unauthorized")
    assert device.call("GET", "/version.json").status_code == 204


def test_activations_at_once_leave_exactly_one_valid_key_and_one_thing(shop):
    number = shop.serial()
    start = threading.Barrier(6)

    def activate(_index: int) -> dict[str, str]:
        with httpx.Client(base_url=shop.server.url, timeout=30) as http:
            start.wait(10)
            response = http.post(PATH, json={"serialNumber": number})
            assert response.status_code == 200, response.text
            return response.json()

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(activate, range(6)))
    assert len({answer["thingId"] for answer in found}) == 1
    assert len({answer["apiKey"] for answer in found}) == 6
    path = f"/v1/things/{found[0]['thingId']}/version.json"
    statuses = [shop.http.get(path, headers={"X-ApiKey": answer["apiKey"]}).status_code for answer in found]
    assert sorted(statuses) == [204, 401, 401, 401, 401, 401]
    assert shop.vendor.thing(number).activation_count == 6


@pytest.mark.parametrize("number", ["nobody", "with space", "-x", "a\0b", "\ud800", "Ünï", "x" * 200])
def test_an_unknown_serial_number_is_not_found(http, refused, number):
    body = '{"serialNumber": "%s"}' % number.encode("unicode_escape").decode().replace("\\x", "\\u00")  # noqa: UP031
    response = http.post(PATH, content=body, headers={"Content-Type": "application/json"})
    if number == "\ud800":
        refused(response, 400)
    else:
        refused(response, 404, "not_found")


def test_serial_numbers_differ_in_case(shop, refused):
    refused(shop.http.post(PATH, json={"serialNumber": shop.serial().lower()}), 404)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"{}",
        b'{"serialNumber": 5}',
        b'{"serialNumber": ""}',
        b'{"serialNumber": null}',
        b'{"serialNumber": "' + b"x" * 201 + b'"}',
        b"\xff\xfe{}",
        b"[" * 30000,
        b"1" * 5000,
    ],
)
def test_a_malformed_request_is_refused(http, refused, body):
    refused(http.post(PATH, content=body, headers={"Content-Type": "application/json"}), 400, "bad_request")


def test_a_body_without_content_type_is_taken_as_json(shop):
    assert shop.http.post(PATH, content=f'{{"serialNumber": "{shop.serial()}"}}').status_code == 200


def test_another_content_type_is_refused_with_advice(http, refused):
    message = refused(http.post(PATH, content=b"{}", headers={"Content-Type": "text/plain"}), 400)
    assert "Content-Type: application/json" in message


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_refused_unread(http, refused, chunked):
    content = (b" " * 1000 for _ in range(100)) if chunked else b" " * 100_000
    refused(http.post(PATH, content=content), 413, "too_large")
    assert http.get("/healthz").status_code == 200


def test_a_blocked_serial_number_gets_no_key_and_its_key_opens_nothing(shop, refused):
    device = shop.device()
    shop.vendor.block(device.number)
    refused(shop.http.post(PATH, json={"serialNumber": device.number}), 403, "serial_blocked")
    refused(device.call("GET", "/version.json"), 403, "serial_blocked")
    shop.vendor.unblock(device.number)
    assert device.call("GET", "/version.json").status_code == 204, "it was never dropped"
    assert shop.vendor.serial(device.number).status == "active"


def _limited_server(folder: Path, serial_rate: Rate, client_rate: Rate) -> LocalServer:
    return LocalServer(folder, settings=replace(Settings(folder, ""), serial_rate=serial_rate, client_rate=client_rate))


def test_too_many_tries_at_one_serial_number_are_told_when_to_come_back(tmp_path, make_shop, refused):
    rare, often = Rate(3, 100, success_cost=0.25), Rate(1000, 1)
    with _limited_server(tmp_path, rare, often) as server, httpx.Client(base_url=server.url) as http:
        shop = make_shop(server, http)
        blocked, good = shop.serial(), shop.serial()
        shop.vendor.block(blocked)
        statuses = [http.post(PATH, json={"serialNumber": blocked}) for _ in range(4)]
        assert [response.status_code for response in statuses[:3]] == [403] * 3
        refused(statuses[3], 429, "too_many_tries")
        assert 1 <= int(statuses[3].headers["retry-after"]) <= 100
        # another serial number is not held up, and success costs less: 9 of them
        responses = [http.post(PATH, json={"serialNumber": good}).status_code for _ in range(10)]
        assert responses == [200] * 9 + [429]
        shop.vendor.close()


def test_one_client_cannot_try_many_serial_numbers(tmp_path, refused):
    with _limited_server(tmp_path, Rate(3, 100), Rate(5, 100)) as server, httpx.Client(base_url=server.url) as http:
        responses = [http.post(PATH, json={"serialNumber": f"GUESS{number}"}) for number in range(6)]
        assert [response.status_code for response in responses[:5]] == [404] * 5
        refused(responses[5], 429, "too_many_tries")


def test_the_default_rates_let_a_device_live(tmp_path):
    """It may activate at each of 40 resets in a row; then, once a minute for ever."""
    now = [0.0]
    limiter = RateLimiter(Settings(tmp_path, "").serial_rate, lambda: now[0])

    def try_once() -> bool:
        allowed = limiter.take("S") == 0
        if allowed:
            limiter.succeeded("S")
        return allowed

    assert all(try_once() for _ in range(40))
    for _ in range(1000):
        now[0] += 60
        assert try_once()


def test_waiting_as_long_as_told_is_enough():
    now = [0.0]
    limiter = RateLimiter(Rate(2, 7.3), lambda: now[0])
    for _ in range(50):
        while not (wait := limiter.take("S")):
            pass
        now[0] += wait
        assert limiter.take("S") == 0


def test_other_names_push_no_spent_bucket_out():
    limiter = RateLimiter(Rate(1, 1e9), lambda: 0.0)
    assert limiter.take("spent") == 0
    for number in range(30_000):
        limiter.take(str(number))
    assert limiter.take("spent") > 0


def test_parts_of_a_name_are_not_composed():
    limiter = RateLimiter(Rate(1, 1000), lambda: 0.0)
    assert limiter.take("proof", "S1", "192.0.2.1") == 0
    assert limiter.take("proof", "S1 192.0.2.1") == 0
    assert limiter.take("proof", "S119", "2.0.2.1") == 0
    assert limiter.take("proof", "S1", "192.0.2.1") > 0


@pytest.mark.parametrize(
    ("address", "caller"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("not an address", "not an address"),
    ],
)
def test_a_network_of_ipv6_is_one_caller(address, caller):
    assert caller_of(address) == caller


def test_keys_are_stored_as_hashes_and_never_logged(tmp_path, make_shop, caplog):
    with caplog.at_level(logging.DEBUG), LocalServer(tmp_path) as server, httpx.Client(base_url=server.url) as http:
        shop = make_shop(server, http)
        device = shop.device()
        owner = shop.owner()
        device.call("GET", "/version.json")
        device.call("GET", "/version.json", headers={"X-ApiKey": device.key + "x"})
        shop.vendor.close()
    secrets = [device.key, owner.token, server.vendor_token]
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("thermokeeper.db*"))
    assert device.thing.encode() in stored
    for secret in secrets:
        assert secret not in caplog.text
        assert secret.encode() not in stored
