"""The GadgetKeeper driver against the calls, answers and refusals of the contract."""

import binascii
import json
import sys

if sys.implementation.name == "cpython":
    import cpython_streams  # noqa: F401
from keeper.assembling.assembly import join
from keeper.errors import CloudError, FactoryError, NetError
from keeper.services.gadgetkeeper import GadgetKeeper
from keeper.services.gadgetkeeper.joining import proof
from keeper.talking.http import Client
from scripted import HOLD, ScriptedServer, answer
from support import raises

KEY = "0123456789abcdef0123456789abcdef"
THING = "a" * 32
VERSION = "d5673e80218f11e3a1c46c626dd90e00"
DIGEST = "5e" * 32
FIRMWARE = bytes(range(256)) * 20


class Board:
    serial = "THERM00000000000001"
    extra = {}


def ok(content, status="200 OK"):
    return answer(status, json.dumps(content).encode())


def refusal(status, code, message, headers=()):
    return answer(status, json.dumps({"error": {"code": code, "message": message}}).encode(), headers)


class Service:
    """A scripted server and an activated driver for it."""

    def __init__(self, *answers, activated=True, raw=True):
        self.server = ScriptedServer([[one] if isinstance(one, bytes) else one for one in answers])
        client = Client(self.server.pulse, idle_ms=60)
        self.cloud = GadgetKeeper(client, self.server.url, raw)
        if activated:
            self.cloud.use({"key": KEY, "thing": THING, "named": True})

    def __enter__(self):
        return self.cloud, self.server.requests

    def __exit__(self, error_type, error, trace):
        self.server.close()


class Acme:
    service = "acme"


def test_unknown_service_is_refused():
    with raises(FactoryError, "no driver for the service acme"):
        join(Acme(), None)


class BoardWithSecret(Board):
    extra = {"secret": "5e" * 32}


NONCE = "00112233445566778899aabbccddeeff"


def test_a_board_with_a_secret_proves_itself_with_the_servers_nonce():
    with Service(ok({"nonce": NONCE}), ok({"apiKey": KEY, "thingId": THING}), activated=False) as (cloud, requests):
        assert cloud.activate(BoardWithSecret()) == {"key": KEY, "thing": THING}
    paths = [request.path for request in requests]
    assert paths == ["/v1/provision/challenge.json", "/v1/provision/activate.json"]
    assert json.loads(requests[0].body) == {"serialNumber": "THERM00000000000001"}
    key = proof.key_of(b"\x5e" * 32)
    expected = {"serialNumber": "THERM00000000000001", "nonce": NONCE}
    expected["proof"] = proof.answer(key, "THERM00000000000001", NONCE)
    assert json.loads(requests[1].body) == expected
    for request in requests:
        assert b"5e" * 32 not in request.body


def test_a_server_that_knows_no_proofs_is_told_the_serial_only():
    answers = refusal("404 Not Found", "not_found", "no such path"), ok({"apiKey": KEY, "thingId": THING})
    with Service(*answers, activated=False) as (cloud, requests):
        assert cloud.activate(BoardWithSecret()) == {"key": KEY, "thing": THING}
    assert json.loads(requests[1].body) == {"serialNumber": "THERM00000000000001"}


def test_a_refused_challenge_and_a_nonce_of_a_wrong_form_end_the_activation():
    with Service(refusal("429 Slow down", "too_many_tries", "wait"), activated=False) as (cloud, requests):
        with raises(CloudError, "wait"):
            cloud.activate(BoardWithSecret())
    for nonce in (None, 7, "", "a/b", "x" * 65, ["a"]):
        with Service(ok({"nonce": nonce}), activated=False) as (cloud, requests):
            with raises(NetError, "nonce"):
                cloud.activate(BoardWithSecret())
        assert len(requests) == 1


def test_activation_sends_the_serial_without_a_key():
    with Service(ok({"apiKey": KEY, "thingId": THING}), activated=False) as (cloud, requests):
        assert cloud.activate(Board()) == {"key": KEY, "thing": THING}
    assert (requests[0].method, requests[0].path) == ("POST", "/v1/provision/activate.json")
    assert json.loads(requests[0].body) == {"serialNumber": "THERM00000000000001"}
    assert requests[0].headers["content-type"] == "application/json"
    assert "x-apikey" not in requests[0].headers


def test_activating_again_sends_no_old_key():
    with Service(ok({"apiKey": KEY, "thingId": THING})) as (cloud, requests):
        cloud.activate(Board())
    assert "x-apikey" not in requests[0].headers


def test_activation_that_answers_nonsense_is_an_error():
    for content in (
        [],
        None,
        {},
        {"apiKey": KEY},
        {"apiKey": KEY, "thingId": "../x"},
        {"apiKey": KEY, "thingId": "x" * 65},
        {"apiKey": KEY, "thingId": 5},
        {"apiKey": "", "thingId": THING},
        {"apiKey": "a b", "thingId": THING},
        {"apiKey": "a\r\nX: y", "thingId": THING},
        {"apiKey": "a" * 129, "thingId": THING},
        {"apiKey": 5, "thingId": THING},
    ):
        with Service(ok(content), activated=False) as (cloud, _):
            with raises(NetError):
                cloud.activate(Board())


def test_nothing_is_asked_before_activation():
    with Service(activated=False) as (cloud, _):
        with raises(CloudError, "not activated") as caught:
            cloud.target()
        assert caught.value.status == 401
        with raises(NetError, "id for the thing"):
            cloud.use({"key": KEY, "thing": "a/b"})


def test_renaming_uses_the_key():
    with Service(ok({"id": THING, "name": "ThermometerDevice"})) as (cloud, requests):
        cloud.rename("ThermometerDevice")
    assert (requests[0].method, requests[0].path) == ("PUT", "/v1/things/%s.json" % THING)
    assert json.loads(requests[0].body) == {"name": "ThermometerDevice"}
    assert requests[0].headers["x-apikey"] == KEY


def test_versions_are_read_whole_cut_short_or_not_at_all():
    content = {"id": VERSION, "name": "version 2", "description": "d" * 500, "release": DIGEST, "more": [1]}
    bare = {"id": VERSION, "name": None, "description": 7, "release": "short"}
    none = answer("204 No Content")
    with Service(ok(content), ok(content), ok(bare), none, none) as (cloud, requests):
        for version in (cloud.target(), cloud.current()):
            assert (version.id, version.name, version.digest) == (VERSION, "version 2", DIGEST)
            assert version.description == "d" * 160
        version = cloud.target()
        assert (version.name, version.description, version.digest) == (VERSION, "", None)
        assert cloud.target() is None
        assert cloud.current() is None
    assert [request.path.split("/")[-1] for request in requests][:2] == ["target-version.json", "version.json"]
    assert [request.headers["x-apikey"] for request in requests] == [KEY] * 5


def test_version_with_an_id_that_leads_elsewhere_is_an_error():
    for content in ([], "x", {"id": "../../admin"}, {"id": ""}, {"id": None}, {"id": "a?b"}, {}):
        with Service(ok(content)) as (cloud, _):
            with raises(NetError):
                cloud.target()


def test_control_characters_of_the_server_reach_no_console():
    with Service(ok({"id": VERSION, "name": "a\x1b[2J\nb"})) as (cloud, _):
        assert cloud.target().name == "a [2J b"
    with Service(refusal("403 Forbidden", "bl\x1bocked", "a\x1b[2J\r\nb\u00e9")) as (cloud, _):
        with raises(CloudError, "a?[2J??b?") as caught:
            cloud.target()
        assert caught.value.code == "bl?ocked"


def test_confirmation_puts_the_version():
    with Service(ok({"id": VERSION})) as (cloud, requests):
        cloud.confirm(VERSION)
    assert (requests[0].method, requests[0].path) == ("PUT", "/v1/things/%s/version.json" % THING)
    assert json.loads(requests[0].body) == {"id": VERSION}


def test_datapoints_go_out_with_and_without_a_time():
    stamp = "2026-11-21T20:13:18.000+0000"
    with Service(answer("204 No Content")) as (cloud, requests):
        cloud.report("temperature", [(21.5, stamp), (-3, None)])
    assert requests[0].path == "/v1/things/%s/events/temperature/datapoints.json" % THING
    assert json.loads(requests[0].body) == [{"value": 21.5, "at": stamp}, {"value": -3}]


def test_datapoints_that_no_server_would_take_are_not_sent():
    with Service() as (cloud, requests):
        for value in (float("nan"), float("inf"), "21", None):
            with raises(CloudError, "isn't a number") as caught:
                cloud.report("temperature", [(value, None)])
            assert caught.value.status == 400
        with raises(CloudError, "more than 256") as caught:
            cloud.report("temperature", [(1, None)] * 257)
        assert caught.value.status == 413
        with raises(NetError, "id for the event"):
            cloud.report("../x", [(1, None)])
    assert requests == []


def test_every_refusal_has_its_status_code_and_words():
    calls = (
        ("400", lambda cloud: cloud.rename("x")),
        ("401", lambda cloud: cloud.target()),
        ("403", lambda cloud: cloud.activate(Board())),
        ("404", lambda cloud: cloud.current()),
        ("409", lambda cloud: cloud.confirm(VERSION)),
        ("413", lambda cloud: cloud.report("temperature", [(1, None)])),
        ("429", lambda cloud: cloud.activate(Board())),
        ("500", lambda cloud: cloud.target()),
        ("403", lambda cloud: cloud.open_release(VERSION)),
    )
    for status, call in calls:
        with Service(refusal(status + " X", "the-code", "What happened.")) as (cloud, _):
            with raises(CloudError, "What happened.") as caught:
                call(cloud)
            assert (caught.value.status, caught.value.code) == (int(status), "the-code")
            assert caught.value.retry_after_ms is None


def test_refusals_without_usable_words_are_refusals_too():
    wrong_types = b'{"error": {"code": 5, "message": []}}'
    for body in (b"", b"<html>", b"[]", b"{}", b'{"error": "x"}', wrong_types, b"x" * 5000):
        with Service(answer("404 Not Found", body)) as (cloud, _):
            with raises(CloudError, "the server answers 404") as caught:
                cloud.target()
            assert (caught.value.status, caught.value.code) == (404, "")
    with Service([b"HTTP/1.1 502 Bad\r\n\r\n" + b"y" * 100, HOLD]) as (cloud, _):
        with raises(CloudError, "502"):
            cloud.target()


def test_long_words_are_cut():
    with Service(refusal("404 Not Found", "c" * 100, "m" * 500)) as (cloud, _):
        with raises(CloudError) as caught:
            cloud.target()
        assert (caught.value.code, str(caught.value)) == ("c" * 40, "m" * 120)


def test_busy_server_says_when_to_come_back():
    for value, expected in (("7", 7000), ("0", 0), ("999999999", 86400_000), ("soon", None), ("-1", None)):
        for status in ("429 Too Many", "503 Unavailable"):
            with Service(refusal(status, "", "", ["Retry-After: " + value])) as (cloud, _):
                with raises(CloudError) as caught:
                    cloud.target()
                assert caught.value.retry_after_ms == expected


def test_answers_that_make_no_sense_are_errors_of_the_network():
    for one, part in (
        (answer("206 Partial", b"{}"), "answers 206"),
        (answer("304 Not Modified"), "answers 304"),
        (answer("200 OK", b"<html>"), "isn't JSON"),
        (answer("200 OK", b'"' + b"x" * 5000 + b'"'), "5002 bytes"),
        (answer("302 Found", headers=["Location: /login"]), "login"),
    ):
        with Service(one) as (cloud, _):
            with raises(NetError, part):
                cloud.confirm(VERSION)


def test_key_does_not_follow_a_redirect_to_another_server():
    with ScriptedServer([[ok({"id": VERSION})]]) as other:
        away = answer("302 Found", headers=["Location: %s/v1/x" % other.url])
        server = ScriptedServer([[away]])

        def both():
            server.pulse()
            other.pulse()

        cloud = GadgetKeeper(Client(both, idle_ms=60), server.url)
        cloud.use({"key": KEY, "thing": THING})
        with server:
            assert cloud.target().id == VERSION
        assert server.requests[0].headers["x-apikey"] == KEY
        assert "x-apikey" not in other.requests[0].headers


def test_readings_are_not_given_to_a_log_in_page():
    with Service(answer("200 OK", b"<html>Welcome to the hotel")) as (cloud, _):
        with raises(NetError, "answers 200"):
            cloud.report("temperature", [(21.5, None)])


# firmware


def content_of(stream):
    block = bytearray(1000)
    data = b""
    while True:
        count = stream.readinto(block)
        if not count:
            return data
        data += bytes(block[:count])


def as_text():
    return ok({"firmware": binascii.b2a_base64(FIRMWARE)[:-1].decode()})


def test_firmware_is_taken_as_it_is():
    with Service(answer("200 OK", FIRMWARE, ['ETag: "e1"'])) as (cloud, requests):
        stream = cloud.open_release(VERSION)
        assert (stream.offset, stream.size, stream.etag, stream.resumable) == (0, len(FIRMWARE), '"e1"', True)
        assert content_of(stream) == FIRMWARE
        stream.close()
    assert requests[0].path == "/v1/versions/%s/firmware.bin" % VERSION
    assert requests[0].headers["x-apikey"] == KEY
    assert "range" not in requests[0].headers


def test_download_goes_on_where_it_stopped():
    size = len(FIRMWARE)
    part = answer("206 Partial", FIRMWARE[1000:], ["Content-Range: bytes 1000-%d/%d" % (size - 1, size), 'ETag: "e1"'])
    with Service(part) as (cloud, requests):
        stream = cloud.open_release(VERSION, 1000, '"e1"')
        assert (stream.offset, stream.size) == (1000, size)
        assert content_of(stream) == FIRMWARE[1000:]
    assert requests[0].headers["range"] == "bytes=1000-"
    assert requests[0].headers["if-range"] == '"e1"'


def test_download_starts_again_when_it_cannot_go_on():
    whole = answer("200 OK", FIRMWARE)
    with Service(whole) as (cloud, requests):
        stream = cloud.open_release(VERSION, 1000, '"old"')
        assert (stream.offset, content_of(stream)) == (0, FIRMWARE)
    for etag in (None, 'W/"e1"'):  # whether it is the same shows in its hashes
        part = answer("206 Partial", FIRMWARE[1000:], ["Content-Range: bytes 1000-5119/5120"])
        with Service(part) as (cloud, requests):
            assert cloud.open_release(VERSION, 1000, etag).offset == 1000
        assert requests[0].headers["range"] == "bytes=1000-" and "if-range" not in requests[0].headers
    with Service(answer("416 Range Not Satisfiable"), whole) as (cloud, requests):
        stream = cloud.open_release(VERSION, 10**6, '"e1"')
        assert (stream.offset, content_of(stream)) == (0, FIRMWARE)
        assert "range" not in requests[1].headers


def test_another_part_than_the_one_asked_for_is_asked_for_as_a_whole():
    whole = answer("200 OK", FIRMWARE)
    for span in ("", "bytes 0-99/5120", "bytes 1000-2000/5120", "bytes */5120", "bytes 1000-/5120",
                 "bytes 5119-1000/5120", "bytes 1000-5119/5119",
                 "items 1000-5119/5120", "bytes 999-5119/5120", "1000"):  # fmt: skip
        with Service(answer("206 Partial", FIRMWARE[1000:], ["Content-Range: " + span]), whole) as (cloud, requests):
            stream = cloud.open_release(VERSION, 1000, '"e1"')
            assert (stream.offset, stream.size, content_of(stream)) == (0, 5120, FIRMWARE), span
        assert "range" not in requests[1].headers
    with Service(answer("206 Partial", b"x", ["Content-Range: bytes 1000-5119/5120"]), whole) as (cloud, _):
        assert cloud.open_release(VERSION, 1000, '"e1"').offset == 0


def test_any_part_that_begins_where_it_was_asked_for_is_taken():
    for span, size, body in (
        ("bytes 1000-5119/*", None, FIRMWARE[1000:]),
        ("bytes 1000-2000/5120", 5120, FIRMWARE[1000:2001]),
        ("Bytes 1000-5119/5120", 5120, FIRMWARE[1000:]),
    ):
        with Service(answer("206 Partial", body, ["Content-Range: " + span])) as (cloud, _):
            stream = cloud.open_release(VERSION, 1000, '"e1"')
            assert (stream.offset, stream.end, stream.size) == (1000, 1000 + len(body), size)
            assert content_of(stream) == body


def test_a_part_of_a_whole_that_was_asked_for_is_an_error():
    with Service(answer("206 Partial", FIRMWARE, ["Content-Range: bytes 0-5119/5120"])) as (cloud, _):
        with raises(NetError, "206"):
            cloud.open_release(VERSION)


def test_server_without_raw_firmware_is_asked_for_text_once_and_for_all():
    for status in ("404 Not Found", "405 Not Allowed", "501 Not Implemented"):
        with Service(answer(status), as_text(), as_text()) as (cloud, requests):
            stream = cloud.open_release(VERSION, 1000, '"e1"')
            assert (stream.offset, stream.size, stream.etag, stream.resumable) == (0, None, None, False)
            assert content_of(stream) == FIRMWARE
            stream.close()
            assert content_of(cloud.open_release(VERSION)) == FIRMWARE
        kinds = [request.path.split(".")[-1] for request in requests]
        assert kinds == ["bin", "json", "json"]


def test_version_without_firmware_does_not_make_the_driver_forget_raw():
    gone = refusal("404 Not Found", "no-such-version", "No such version.")
    with Service(gone, gone, answer("200 OK", FIRMWARE)) as (cloud, _):
        with raises(CloudError, "No such version.") as caught:
            cloud.open_release(VERSION)
        assert caught.value.status == 404
        assert cloud.open_release(VERSION).resumable


def test_text_can_be_asked_for_at_once():
    with Service(as_text(), raw=False) as (cloud, requests):
        assert content_of(cloud.open_release(VERSION)) == FIRMWARE
    assert requests[0].path.endswith("firmware.json")


def test_text_that_is_broken_is_an_error_of_the_network():
    for one, part in (
        (ok({"firmware": "QUJ*"}), "base64"),
        (ok({"error": 1}), "no member firmware"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b'{"firmware": "QUJD', "bytes early"),
    ):
        with Service(one, raw=False) as (cloud, _):
            with raises(NetError, part):
                content_of(cloud.open_release(VERSION))


def test_version_id_that_leads_elsewhere_is_not_asked_for():
    with Service() as (cloud, requests):
        for version_id in ("", "a/../b", "a b", None, "x" * 65):
            with raises(NetError, "id for the version"):
                cloud.open_release(version_id)
    assert requests == []
