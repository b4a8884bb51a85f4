"""The driver of Gecko OS DMS against the calls, answers and refusals of the contract."""

import sys

if sys.implementation.name == "cpython":
    import cpython_streams  # noqa: F401
from keeper.assembling.assembly import join
from keeper.errors import CloudError, NetError
from keeper.services.gadgetkeeper import GadgetKeeper
from keeper.services.gecko_dms import DmsWire
from keeper.services.gecko_dms.packing.msgpack import dumps, loads
from keeper.services.gecko_dms.standing import GeckoDms
from keeper.talking.http import Client
from scripted import HOLD, ScriptedServer, answer
from support import raises

CREDENTIAL = "0123456789abcdef0123456789abcdef"
UUID = "6fa1c0de-2c4b-8d1e-9a30-0d2b5e7f9c11"
THING = "a" * 32
VERSION = "d5673e80218f11e3a1c46c626dd90e00"
DIGEST = "5e" * 32
FIRMWARE = bytes(range(256)) * 20


def ok(content, status="200 OK"):
    return answer(status, dumps(content))


def refusal(status, code, message, headers=()):
    return answer(status, dumps({"error": {"code": code, "message": message}}), headers)


class Service:
    """A scripted server and a driver for it that has a credential."""

    def __init__(self, *answers, provisioned=True):
        self.server = ScriptedServer([[one] if isinstance(one, bytes) else one for one in answers])
        client = Client(self.server.pulse, idle_ms=60)
        self.cloud = DmsWire(client, self.server.url)
        if provisioned:
            self.cloud.use(CREDENTIAL)

    def __enter__(self):
        return self.cloud, self.server.requests

    def __exit__(self, error_type, error, trace):
        self.server.close()


class Found:
    """An identity for `join`."""

    serial = "THERM00000000000001"
    product = "thermometer"
    service = "gecko_dms"
    server = "http://127.0.0.1:8000"
    extra = {}


def test_a_service_is_joined_by_its_driver_and_its_standing():
    cloud, standing = join(Found(), None)
    assert isinstance(cloud, DmsWire)
    assert isinstance(standing, GeckoDms)

    class Other(Found):
        service = "gadgetkeeper"

    cloud, standing = join(Other(), None)
    assert isinstance(cloud, GadgetKeeper)
    assert standing.product() == "thermometer"


def test_provisioning_sends_token_and_uuid_and_no_credential():
    with Service(ok({"uuid": UUID, "credential": CREDENTIAL})) as (cloud, requests):
        assert cloud.provision("TOKEN", UUID) == CREDENTIAL
    assert (requests[0].method, requests[0].path) == ("POST", "/dms/v1/provision")
    assert loads(requests[0].body) == {"token": "TOKEN", "uuid": UUID}
    assert requests[0].headers["content-type"] == "application/msgpack"
    assert "authorization" not in requests[0].headers


def test_provisioning_that_answers_nonsense_is_an_error():
    for content in (
        [],
        None,
        {},
        {"uuid": UUID},
        {"uuid": UUID[:-1] + "2", "credential": CREDENTIAL},
        {"credential": CREDENTIAL},
        {"uuid": UUID, "credential": ""},
        {"uuid": UUID, "credential": "a b"},
        {"uuid": UUID, "credential": "a\r\nX: y"},
        {"uuid": UUID, "credential": "x" * 129},
        {"uuid": UUID, "credential": b"abc"},
    ):
        with Service(ok(content), provisioned=False) as (cloud, _):
            with raises(NetError):
                cloud.provision("TOKEN", UUID)
    with Service(answer("204 No Content")) as (cloud, _):
        with raises(NetError, "204"):
            cloud.provision("TOKEN", UUID)


def test_the_acknowledgement_has_the_credential_and_no_body():
    with Service(answer("204 No Content"), refusal("401 Unauthorized", "unauthorized", "wrong")) as (cloud, requests):
        cloud.acknowledge()
        with raises(CloudError, "wrong") as caught:
            cloud.acknowledge()
        assert caught.value.status == 401
    assert (requests[0].method, requests[0].path, requests[0].body) == ("PUT", "/dms/v1/provision", b"")
    assert requests[0].headers["content-length"] == "0"
    assert requests[0].headers["authorization"] == "Bearer " + CREDENTIAL


def test_only_204_acknowledges():
    with Service(ok({}), provisioned=True) as (cloud, _):
        with raises(NetError, "answers 200"):
            cloud.acknowledge()


def test_nothing_is_asked_without_a_credential():
    calls = (
        lambda cloud: cloud.acknowledge(),
        lambda cloud: cloud.activate("lamp"),
        lambda cloud: cloud.target(),
        lambda cloud: cloud.confirm(VERSION),
        lambda cloud: cloud.report("temperature", [(1, None)]),
        lambda cloud: cloud.open_release(VERSION),
    )
    with Service() as (cloud, requests):
        cloud.use(None)
        for call in calls:
            with raises(CloudError, "not provisioned") as caught:
                call(cloud)
            assert caught.value.status == 401
        with raises(NetError, "credential"):
            cloud.use("a\nb")
    assert requests == []


def test_activation_sends_the_code_and_gives_the_whole_answer():
    content = {"product": "lamp", "name": "Lamp", "thing": THING, "version": None, "more": [1, 2]}
    with Service(ok(content)) as (cloud, requests):
        assert cloud.activate("lamp") == content
    assert (requests[0].method, requests[0].path) == ("POST", "/dms/v1/activate")
    assert loads(requests[0].body) == {"product_code": "lamp"}


def test_activation_that_answers_nonsense_is_an_error():
    for content in (
        [],
        {"product": "lamp"},
        {"product": "lamp", "thing": "../x"},
        {"product": "lamp", "thing": 5},
        {"product": "thermometer", "thing": THING},
        {"thing": THING},
    ):
        with Service(ok(content)) as (cloud, _):
            with raises(NetError):
                cloud.activate("lamp")


def test_versions_are_read_from_their_two_places():
    content = {"id": VERSION, "name": "version 2", "description": "d" * 500, "release": DIGEST, "size": 5}
    none = answer("204 No Content")
    with Service(ok(content), ok({"id": VERSION, "release": None}), none, none) as (cloud, requests):
        version = cloud.target()
        assert (version.id, version.name, version.digest) == (VERSION, "version 2", DIGEST)
        assert cloud.current().digest is None
        assert (cloud.target(), cloud.current()) == (None, None)
    assert [request.path for request in requests] == ["/dms/v1/firmware", "/dms/v1/firmware/current"] * 2
    assert requests[0].headers["accept"] == "application/msgpack"
    for content in ([], {"id": "../x"}, {}):
        with Service(ok(content)) as (cloud, _):
            with raises(NetError):
                cloud.target()


def test_confirmation_failure_and_name_are_told():
    none = answer("204 No Content")
    with Service(none, none, ok({"id": THING, "name": "x"})) as (cloud, requests):
        cloud.confirm(VERSION)
        cloud.failed(VERSION, "2.0.0", "w" * 1000)
        cloud.rename("ThermometerDevice")
    calls = [(request.method, request.path) for request in requests]
    assert calls == [("PUT", "/dms/v1/firmware"), ("POST", "/dms/v1/firmware/failure"), ("PUT", "/dms/v1/thing")]
    assert loads(requests[0].body) == {"id": VERSION}
    assert loads(requests[1].body) == {"id": VERSION, "version": "2.0.0", "why": "w" * 300}
    assert loads(requests[2].body) == {"name": "ThermometerDevice"}


def test_datapoints_go_out_with_and_without_a_time():
    stamp = "2026-11-21T20:13:18.000+0000"
    with Service(answer("204 No Content"), answer("200 OK", b"<html>")) as (cloud, requests):
        cloud.report("temperature", [(21.5, stamp), (-3, None)])
        with raises(NetError, "answers 200"):
            cloud.report("temperature", [(21.5, stamp)])
    assert requests[0].path == "/dms/v1/events/temperature"
    assert loads(requests[0].body) == [{"value": 21.5, "at": stamp}, {"value": -3}]


def test_datapoints_that_no_server_would_take_are_not_sent():
    with Service() as (cloud, requests):
        for value in (float("nan"), float("inf"), "21", None):
            with raises(CloudError, "isn't a number"):
                cloud.report("temperature", [(value, None)])
        with raises(CloudError, "more than 256"):
            cloud.report("temperature", [(1, None)] * 257)
        with raises(NetError, "id for the event"):
            cloud.report("../x", [(1, None)])
    assert requests == []


def test_every_refusal_has_its_status_code_and_words():
    calls = (
        ("403", lambda cloud: cloud.provision("TOKEN", UUID)),
        ("409", lambda cloud: cloud.provision("TOKEN", UUID)),
        ("403", lambda cloud: cloud.activate("lamp")),
        ("404", lambda cloud: cloud.activate("lamp")),
        ("409", lambda cloud: cloud.target()),
        ("400", lambda cloud: cloud.rename("x")),
        ("413", lambda cloud: cloud.report("temperature", [(1, None)])),
        ("404", lambda cloud: cloud.open_release(VERSION)),
        ("429", lambda cloud: cloud.provision("TOKEN", UUID)),
    )
    for status, call in calls:
        with Service(refusal(status + " X", "the-code", "What\nhappened.", ["Retry-After: 7"])) as (cloud, _):
            with raises(CloudError, "What?happened.") as caught:
                call(cloud)
            found = (caught.value.status, caught.value.code, caught.value.retry_after_ms)
            assert found == (int(status), "the-code", 7000)


def test_refusals_without_usable_words_are_refusals_too():
    json = b'{"error": {"code": "x", "message": "y"}}'
    for body in (b"", b"<html>", json, dumps([]), dumps({"error": 5}), dumps({"error": {}}), b"x" * 5000, b"\xc1"):
        with Service(answer("404 Not Found", body)) as (cloud, _):
            with raises(CloudError, "the server answers 404"):
                cloud.target()


def test_answers_that_make_no_sense_are_errors_of_the_network():
    for one, part in (
        (answer("206 Partial", dumps({})), "answers 206"),
        (answer("200 OK", b"<html>"), "isn't MessagePack"),
        (answer("200 OK", b'{"id": 1}'), "isn't MessagePack"),
        (answer("200 OK", dumps("x" * 5000)), "5003 bytes"),
        (answer("302 Found", headers=["Location: /login"]), "closed"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nab", HOLD], "no answer"),
    ):
        with Service(one) as (cloud, _):
            with raises(NetError, part):
                cloud.target()


def test_a_credential_does_not_follow_a_redirect_to_another_server():
    with ScriptedServer([[ok({"id": VERSION})]]) as other:
        away = answer("302 Found", headers=["Location: %s/dms/v1/x" % other.url])
        server = ScriptedServer([[away]])

        def both():
            server.pulse()
            other.pulse()

        cloud = DmsWire(Client(both, idle_ms=60), server.url)
        cloud.use(CREDENTIAL)
        with server:
            assert cloud.target().id == VERSION
        assert "authorization" not in other.requests[0].headers


# firmware


def content_of(stream):
    block = bytearray(1000)
    data = b""
    while True:
        count = stream.readinto(block)
        if not count:
            return data
        data += bytes(block[:count])


def test_firmware_is_taken_as_it_is():
    with Service(answer("200 OK", FIRMWARE, ['ETag: "e1"'])) as (cloud, requests):
        stream = cloud.open_release(VERSION)
        assert (stream.offset, stream.size, stream.etag, stream.resumable) == (0, len(FIRMWARE), '"e1"', True)
        assert content_of(stream) == FIRMWARE
        stream.close()
    assert requests[0].path == "/dms/v1/firmware/" + VERSION
    assert requests[0].headers["authorization"] == "Bearer " + CREDENTIAL


def test_download_goes_on_where_it_stopped_or_starts_again():
    size = len(FIRMWARE)
    part = answer("206 Partial", FIRMWARE[1000:], ["Content-Range: bytes 1000-%d/%d" % (size - 1, size), 'ETag: "e1"'])
    with Service(part) as (cloud, requests):
        stream = cloud.open_release(VERSION, 1000, '"e1"')
        assert (stream.offset, stream.size, content_of(stream)) == (1000, size, FIRMWARE[1000:])
    assert (requests[0].headers["range"], requests[0].headers["if-range"]) == ("bytes=1000-", '"e1"')
    with Service(refusal("416 Range", "x", "y"), answer("200 OK", FIRMWARE)) as (cloud, requests):
        assert cloud.open_release(VERSION, 10**6, '"e1"').offset == 0
    assert "range" not in requests[1].headers


def test_a_version_id_that_leads_elsewhere_is_not_asked_for():
    with Service() as (cloud, requests):
        for version_id in ("", "a/../b", "a b", None, "x" * 65):
            with raises(NetError, "id for the version"):
                cloud.open_release(version_id)
    assert requests == []
