"""MessagePack on the wire: what is taken, and that everything else gets a clear refusal, in MessagePack."""

import logging
import socket
import struct

import hypothesis
import hypothesis.strategies as st
import msgpack
import pytest
from sqlalchemy.exc import IntegrityError, OperationalError

from thermokeeper.server.http.messagepack import BadMessage, unpack
from thermokeeper.server.local import LocalServer

MEDIA_TYPE = "application/msgpack"
TOKEN = {"token": "a" * 32}


def _post(http, content: bytes, path: str = "/provision", content_type: str | None = MEDIA_TYPE, **headers: str):
    if content_type is not None:
        headers["Content-Type"] = content_type
    return http.post(f"/dms/v1{path}", content=content, headers=headers)


def _nested(depth: int) -> bytes:
    return b"\x91" * depth + b"\xc0"


BAD = {
    "nothing": b"",
    "json": b'{"token": "x"}',
    "never used byte": b"\xc1",
    "cut": msgpack.packb(TOKEN)[:-1],
    "more than one object": msgpack.packb(TOKEN) * 2,
    "nil": b"\xc0",
    "a list": b"\x90",
    "a number": b"\x05",
    "empty map": b"\x80",
    "token a number": msgpack.packb({"token": 5}),
    "token nil": msgpack.packb({"token": None}),
    "token binary": msgpack.packb({"token": b"abc"}),
    "token empty binary": msgpack.packb({"token": b""}),
    "token empty": msgpack.packb({"token": ""}),
    "token too long": msgpack.packb({"token": "a" * 65}),
    "token with other signs": msgpack.packb({"token": "a b"}),
    "token with a line end": msgpack.packb({"token": "ab\n"}),
    "token not UTF-8": b"\x81\xa5token\xa2\xff\xfe",
    "a lone surrogate": b"\x81\xa5token\xa3\xed\xa0\x80",
    "uuid in capitals": msgpack.packb({**TOKEN, "uuid": "6FA1C0DE-2C4B-8D1E-9A30-0D2B5E7F9C11"}),
    "uuid without dashes": msgpack.packb({**TOKEN, "uuid": "6fa1c0de2c4b8d1e9a300d2b5e7f9c11"}),
    "uuid a number": msgpack.packb({**TOKEN, "uuid": 1}),
    "uuid empty": msgpack.packb({**TOKEN, "uuid": ""}),
    "a key twice": b"\x82\xa5token\xa1a\xa5token\xa1b",
    "a key that is a number": msgpack.packb({**TOKEN, 5: 6}),
    "a key that is binary": msgpack.packb({**TOKEN, b"": 6}),
    "a key that is a list": b"\x81\x90\x01",
    "a timestamp": msgpack.packb({**TOKEN, "at": msgpack.Timestamp(0)}),
    "an ext type": msgpack.packb({"token": msgpack.ExtType(5, b"abc")}),
    "an empty ext type": b"\x81\xa5token\xc7\x00\x05",
    "a little too deep": b"\x82\xa5token\xa1a\xa1x" + _nested(10),
    "far too deep": _nested(60_000),
    "a map said to be large": b"\xdf\xff\xff\xff\xff",
    "a text said to be long": b"\xdb\xff\xff\xff\xff",
    "many members": msgpack.packb({str(number): number for number in range(1000)}),
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD.keys())
def test_a_malformed_request_is_refused(http, refused, content):
    message = refused(_post(http, content), 400, "bad_request")
    assert message.startswith("body") and message.isprintable()


@pytest.mark.parametrize(
    "content", [b"\xdd\xff\xff\xff\xff", b"\xdc\xff\xff" * 20_000, b"\xdc\x07\xd1" + b"\x01" * 2001]
)
def test_a_list_that_is_said_to_be_long_is_refused_before_it_takes_memory(http, refused, content):
    refused(_post(http, content), 413, "too_large")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (BAD["json"], "more than one"),
        (BAD["an ext type"], "ext types"),
        (BAD["a timestamp"], "ext types"),
        (BAD["far too deep"], "too deep"),
        (BAD["a little too deep"], "too deep"),
        (BAD["cut"], "breaks off"),
        (BAD["token binary"], "binary"),
        (BAD["token not UTF-8"], "UTF-8"),
        (BAD["a key twice"], "twice"),
        (BAD["uuid a number"], "body.uuid"),
        (BAD["empty map"], "body.token"),
        (BAD["nil"], "body"),
    ],
)
def test_a_refusal_says_what_is_wrong_but_not_what_was_sent(http, refused, content, message):
    assert message in refused(_post(http, content), 400)


def test_what_isnt_known_is_left_alone(http, refused):
    refused(_post(http, msgpack.packb({**TOKEN, "later": [1, {"x": 2.5}]})), 403, "token_unknown")


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/octet-stream"])
def test_another_content_type_is_refused_with_advice(http, refused, content_type):
    response = _post(http, msgpack.packb(TOKEN), content_type=content_type)
    assert MEDIA_TYPE in refused(response, 415, "unsupported_media_type")


@pytest.mark.parametrize("content_type", [None, "application/x-msgpack", "Application/MsgPack; charset=binary"])
def test_its_other_names_and_none_are_taken(http, refused, content_type):
    refused(_post(http, msgpack.packb(TOKEN), content_type=content_type), 403, "token_unknown")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_refused_unread(http, refused, chunked):
    content = (b"\xc0" * 1000 for _ in range(100)) if chunked else b"\xc0" * 100_000
    refused(http.post("/dms/v1/provision", content=content), 413, "too_large")
    assert http.get("/healthz").status_code == 200


@pytest.mark.parametrize("path", ["/dms", "/dms/", "/dms/v1", "/dms/v1/nothing", "/dms/v2/provision", "/dms/v1/events"])
def test_a_path_that_is_not_there_is_not_found(http, refused, path):
    refused(http.get(path), 404, "not_found")


def test_a_path_beside_it_is_refused_in_json(http, refused):
    assert http.get("/dmsx").headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/provision"),
        ("DELETE", "/provision"),
        ("PUT", "/activate"),
        ("POST", "/firmware"),
        ("POST", "/thing"),
        ("GET", "/events/temperature"),
    ],
)
def test_a_method_that_a_path_does_not_take(http, refused, method, path):
    response = http.request(method, f"/dms/v1{path}")
    refused(response, 405, "method_not_allowed")
    assert response.headers["allow"]


CALLS = [
    ("PUT", "/provision"),
    ("POST", "/activate"),
    ("GET", "/firmware"),
    ("GET", "/firmware/current"),
    ("GET", f"/firmware/{'0' * 32}"),
    ("PUT", "/firmware"),
    ("POST", "/firmware/failure"),
    ("POST", "/events/temperature"),
    ("PUT", "/thing"),
]


def test_the_list_of_calls_is_whole(http):
    found = {
        (method.upper(), path.removeprefix("/dms/v1").format(version_id="0" * 32, event="temperature"))
        for path, methods in http.get("/openapi.json").json()["paths"].items()
        for method in methods
        if path.startswith("/dms/")
    }
    assert found == {*CALLS, ("POST", "/provision")}


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_every_other_call_needs_a_credential(http, refused, shop, method, path):
    device = shop.device()
    for headers in (
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer x"},
        {"Authorization": f"Bearer {device.key}"},
        {"Authorization": f"Bearer {shop.server.vendor_token}"},
        {"Authorization": "Basic eDp5"},
        {"Authorization": b"Bearer \xff\xfe"},
        {"X-ApiKey": device.key},
    ):
        response = http.request(method, f"/dms/v1{path}", headers=headers)
        refused(response, 401, "unauthorized")
        assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path"), [call for call in CALLS if call[0] != "GET"][1:])
@pytest.mark.parametrize("content", [b"", b"\xc1", b"\xc0", b"\x81\x01\x02", b"{}", BAD["far too deep"]])
def test_a_malformed_request_with_a_credential_is_refused(shop, refused, method, path, content):
    board = shop.active_board()
    refused(board.call(method, path, content=content), 400, "bad_request")


@pytest.mark.parametrize(
    ("error", "code"),
    [(IntegrityError("x", {}, Exception()), "busy"), (OperationalError("x", {}, Exception()), "unavailable")],
)
def test_trouble_of_the_database_is_told_in_messagepack_with_a_time_to_come_back(
    shop, refused, monkeypatch, error, code
):
    """Not with 409: that tells a device that its token is spent."""

    def fail(*_arguments):
        raise error

    token = shop.vendor.create_dms_token()
    monkeypatch.setattr("thermokeeper.server.rules.dms_provisioning.offer", fail)
    response = shop.board().ask(token.token)
    refused(response, 503, code)
    assert int(response.headers["retry-after"]) >= 1
    monkeypatch.undo()
    assert shop.board().ask(token.token).status_code == 200


def test_a_failure_of_the_server_is_told_in_messagepack(shop, refused, monkeypatch):
    board = shop.active_board()

    def fail(*_arguments):
        raise ZeroDivisionError

    monkeypatch.setattr("thermokeeper.server.dms.calls.registry.target_of", fail)
    refused(board.call("GET", "/firmware"), 500, "internal")


@hypothesis.given(st.binary(max_size=200))
def test_no_bytes_make_it_fail(data):
    try:
        found = unpack(data)
    except BadMessage as error:
        assert str(error).isprintable() and str(error)
    else:
        assert not isinstance(found, bytes) or found == b""


@hypothesis.given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
        max_leaves=10,
    )
)
def test_what_is_messagepack_comes_through(value):
    try:
        assert unpack(msgpack.packb(value)) == value
    except BadMessage as error:
        assert "too deep" in str(error)


def test_numbers_of_every_width_are_numbers():
    for packed in (
        b"\x01",
        b"\xcc\x01",
        b"\xcd\x00\x01",
        b"\xce" + struct.pack(">I", 1),
        b"\xd3" + struct.pack(">q", 1),
    ):
        assert unpack(packed) == 1
    assert unpack(b"\xca" + struct.pack(">f", 21.5)) == unpack(b"\xcb" + struct.pack(">d", 21.5)) == 21.5


def test_a_caller_that_goes_in_the_middle_of_a_body_leaves_no_traceback(tmp_path, caplog):
    logger = logging.getLogger("uvicorn.error")
    head = f"POST /dms/v1/provision HTTP/1.1\r\nHost: x\r\nContent-Type: {MEDIA_TYPE}\r\nContent-Length: 100\r\n\r\n"
    with LocalServer(tmp_path) as server:
        logger.addHandler(caplog.handler)
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as raw:
            raw.sendall(head.encode() + b"\x81\xa5token")
            raw.shutdown(socket.SHUT_WR)
            while raw.recv(4096):
                pass
    logger.removeHandler(caplog.handler)  # the server has ended, with all that it had to say
    assert caplog.records == []
