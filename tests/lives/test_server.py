"""A server in trouble: down, slow, talking nonsense, sending elsewhere. Nothing is lost, and it is tried again."""

import re

import pytest

from lives.front import Exchange, Front, cut_after, json_body, late, says, silence, status
from lives.kit import FOR_HOURS

TARGET = "GET /v1/things/[0-9a-f]+/target-version"
FIRMWARE = "GET /v1/versions/[0-9a-f]+/firmware"
DATAPOINTS = "POST /v1/things/[0-9a-f]+/events/temperature/datapoints"

NONSENSE = [
    (status(500), "answers 500"),
    (status(502, {"Content-Type": "text/html"}, b"<h1>Bad gateway</h1>"), "answers 502"),
    (status(503, {}, b'{"error": {"code": "busy", "message": "come back later"}}'), "come back later"),
    (status(404, {}, b'{"error": {"code": "not_found", "message": "there is no such thing"}}'), "no such thing"),
    (status(403), "answers 403"),
    (status(304), "isn't an answer"),
    (says(b""), "closed without an answer"),
    (says(b"220 mail.example ESMTP\r\n\r\n"), "no HTTP answer"),
    (says(b"HTTP/1.1 200 OK\r\nETag: " + b"y" * 5000 + b"\r\n\r\n{}"), "too long"),
    (says(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 20_000 + b"\r\n{}"), "too long"),
    (says(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n{}"), "content-length"),
    (says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"), "chunk"),
    (says(b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 1_000_000), "too long"),
    (status(200, {}, b'{"id": "' + b"a" * 100_000 + b'"}'), "not more than"),
    (json_body("[" * 4000), "isn't JSON|memory"),
    (json_body("<html>Log in to the hotel's network</html>"), "isn't JSON"),
    (json_body("[]"), "isn't an object"),
    (json_body('{"id": 5}'), "no usable id"),
    (json_body('{"id": "../../v1/vendor"}'), "no usable id"),
    (cut_after(40), "closed|cut"),
    (cut_after(-20), "in the middle of the body"),
]


def test_no_answer_however_strange_costs_more_than_a_pause(life):
    life.made(sync_s=life.runtime.period_s)
    life.boots()
    life.says("version", "up to date")
    for reply, words in NONSENSE:
        rule = life.front.on(TARGET, reply)
        life.says("wait", words)
        life.front.off(rule)
        asked = len(life.front.asked(TARGET))
        while len(life.front.asked(TARGET)) == asked:  # so that the next pause is a short one again
            life.measures(1)
    life.publish("2.0.0")
    life.says("version", "up to date: 2.0.0")
    assert life.thing.activation_count == 1 and life.happened("reset") == 1
    life.measures(3)
    assert max(life.gaps_s()) < 2 * life.runtime.period_s


@pytest.mark.parametrize("code", [429, 503])
def test_a_server_that_asks_for_a_pause_gets_it(life, code):
    life.boots()
    life.says("version", "up to date")
    pause_s = 4 * life.runtime.period_s + 5
    life.front.on(TARGET, status(code, {"Retry-After": str(int(pause_s))}), times=1)
    told_s = int(re.search(r"next try in (\d+) s", life.says("wait"))[1])
    assert pause_s <= told_s <= pause_s + 5
    asked = len(life.front.asked(TARGET))
    life.measures(4)
    assert len(life.front.asked(TARGET)) == asked
    while len(life.front.asked(TARGET)) == asked:
        life.measures(1)


@FOR_HOURS
def test_the_pauses_grow_while_the_server_is_down_up_to_a_quarter_of_an_hour(life):
    life.front.down()
    life.boots()
    pauses = [int(re.search(r"next try in (\d+) s", life.says("wait", "refuses the connection"))[1]) for _ in range(13)]
    for number, pause_s in enumerate(pauses):
        most = min(2 * 2**number, 900)
        assert most // 2 <= pause_s <= most + 1, pauses
    life.front.up()
    life.says("confirm")


def test_readings_that_the_server_refuses_in_strange_ways_are_kept(life):
    life.boots()
    life.says("version", "up to date")
    bodies = [b"[" * 1000, b'{"error": ' * 100, b'{"error": {"code": [], "message": {}}}', b"\xff" * 900, b"x" * 9000]
    rules = [life.front.on(DATAPOINTS, status(500, {}, body), times=1) for body in bodies]
    rules.append(life.front.on(DATAPOINTS, status(200, {}, b"<html>Log in</html>"), times=1))  # a hotel says it to all
    while any(rule.left for rule in rules):
        life.measures(1)
    taken = len(life.said("reading"))
    while len(life.readings()) < taken:
        life.measures(1)
    assert life.happened("boot") == 1


def test_a_server_that_is_down_at_the_start_is_found_when_it_comes_up(life):
    life.front.down()
    life.boots()
    life.says("wait", "refuses the connection")
    life.measures(2)
    life.front.up()
    life.says("activate", "done")
    life.says("confirm")


def test_a_slow_server_is_waited_for(life):
    life.front.on(".*", late(0.4))
    life.boots()
    life.says("version", "up to date")
    assert not life.said("wait")


def dripping(exchange: Exchange) -> None:
    """A head that never ends, so slowly that no single wait is long."""
    exchange.send(b"HTTP/1.1 200 OK\r\n")
    while exchange.wait(0.1):
        exchange.send(b"X")


@pytest.mark.parametrize("reply", [silence, dripping])
def test_a_server_that_never_finishes_is_left_after_a_while(company, new_life, reply):
    hasty = (
        ("keeper/talking/http.py", "idle_ms=10_000", "idle_ms=4_000"),
        ("keeper/talking/http.py", "deadline_ms=30_000", "deadline_ms=6_000"),
    )
    company.publish("1.0.0", hasty)
    life = new_life().made(company.foundry.release("1.0.0", company.runtime.source, hasty))
    rule = life.front.on("POST .*/activate", reply)
    life.boots()
    life.says("wait", "no answer from .* in 4 s" if reply is silence else "is too slow")
    life.front.off(rule)
    life.says("version", "up to date")


def test_the_server_is_restarted_in_the_middle_of_everything(life):
    server = life.company.server
    life.boots()
    life.says("activate", "done")
    server.stop()
    life.says("wait")
    server.start()
    life.says("version", "up to date: 1.0.0")
    thing_id = life.thing.id
    life.publish("2.0.0")
    life.says("download", "^40%")
    server.stop()
    server.start()
    life.says("slot", "2.0.0, on trial")
    server.stop()
    life.says("wait")
    server.start()
    life.says("version", "up to date: 2.0.0")
    assert (life.thing.id, life.thing.activation_count, life.version) == (thing_id, 1, "2.0.0")


def test_a_download_that_fails_in_any_way_is_repeated_and_nothing_else_happens(life):
    life.boots()
    life.says("version", "up to date")
    troubles = [status(500), cut_after(60_000), cut_after(-3), cut_after(100), json_body('{"firmware": "!!"}')]
    rules = [life.front.on(FIRMWARE, trouble, times=1) for trouble in troubles]
    life.publish("2.0.0")
    life.says("version", "up to date: 2.0.0")
    assert not any(rule.left for rule in rules)
    assert not life.said("rollback") and life.happened("reset") == 1


def test_a_confirmation_whose_answer_was_lost_is_repeated(life):
    life.boots()
    life.says("version", "up to date")
    life.front.on("PUT .*/version.json", cut_after(20), times=2)
    life.publish("2.0.0")
    life.says("wait", "closed|cut")
    life.says("confirm", life.company.versions["2.0.0"].id)
    assert life.version == "2.0.0" and life.board.slot == "ota_1"


def test_a_redirect_to_another_host_is_followed_without_the_key(life):
    life.boots()
    life.says("version", "up to date")
    with Front() as elsewhere:
        release = life.company.foundry.release("2.0.0", life.runtime.source)
        elsewhere.on(".*", status(200, {}, release.read_bytes()))
        life.front.on("GET .*/firmware.bin", status(302, {"Location": elsewhere.url + "/mirror/2.0.0.tkr"}))
        life.publish("2.0.0")
        life.says("version", "up to date: 2.0.0")
        life.off()
        key = life.stored("cloud")["key"]
        assert elsewhere.requests, "that is where it was fetched"
        for request in elsewhere.requests:
            assert "x-apikey" not in request.headers and key.encode() not in request.raw
        assert all(request.headers.get("x-apikey") == key for request in life.front.asked(FIRMWARE))


def test_calls_that_carry_something_are_not_redirected(life):
    with Front() as elsewhere:
        elsewhere.on(".*", json_body('{"apiKey": "stolen", "thingId": "stolen"}'))
        moved = status(307, {"Location": elsewhere.url + "/v1/provision/activate.json"})
        for pattern in ("POST .*/activate", DATAPOINTS, "PUT .*"):
            life.front.on(pattern, moved, times=1)
        life.boots()
        life.says("wait", "isn't followed")
        life.says("confirm")
        life.measures(3)
        assert not elsewhere.requests
    assert life.readings()
