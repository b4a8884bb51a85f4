"""The HTTP client against servers that are good, slow, broken and hostile."""

import sys
import time

if sys.implementation.name == "cpython":
    import cpython_streams  # noqa: F401
from keeper import memory
from keeper.errors import NetError
from keeper.talking.http import Client
from scripted import DRIP, EARLY, HANG_UP, HOLD, ScriptedServer, answer, listen
from support import raises
from support_flash import board

IDLE_MS = 60


def client_of(server, ca=None):
    return Client(server.pulse, ca=ca, idle_ms=IDLE_MS)


def get(acts, path="/", **options):
    """The response to one GET with these acts, its body read: (response, body)."""
    with ScriptedServer([acts]) as server:
        with client_of(server).open("GET", server.url + path, **options) as response:
            return response, read(response)


def read(response, block_size=64):
    body = b""
    block = bytearray(block_size)
    while True:
        count = response.readinto(block)
        if not count:
            return body
        body += bytes(block[:count])


def refused(acts, part, **options):
    with raises(NetError, part):
        get(acts, **options)


def test_request_has_host_length_key_and_asks_to_close():
    with ScriptedServer([[answer("200 OK", b"fine")]]) as server:
        client = client_of(server)
        with client.open("POST", server.url + "/a?b=c", {"Accept": "x/y"}, b"hello", ("X-ApiKey", "k1")) as response:
            assert (response.status, response.length, read(response)) == (200, 4, b"fine")
    request = server.requests[0]
    assert (request.method, request.path, request.body) == ("POST", "/a?b=c", b"hello")
    assert request.headers == {
        "host": "127.0.0.1:%d" % server.port,
        "connection": "close",
        "content-length": "5",
        "accept": "x/y",
        "x-apikey": "k1",
    }


def test_large_request_body_arrives_whole():
    body = bytes(range(256)) * 80
    with ScriptedServer([[answer("204 No Content")]]) as server:
        client_of(server).open("POST", server.url + "/", body=body).close()
    assert server.requests[0].body == body


def test_refusal_of_a_body_that_was_not_read_is_still_heard():
    with ScriptedServer([[EARLY, answer("413 Too Large", b"{}"), HOLD]]) as server:
        with client_of(server).open("POST", server.url + "/", body=bytes(50_000)) as response:
            assert response.status == 413


def test_readinto_fills_the_buffer_until_the_body_ends():
    body = bytes(range(250)) * 10
    acts = [b"HTTP/1.1 200 OK\r\nContent-Length: 2500\r\n\r\n", DRIP(body[:40]), body[40:]]
    with ScriptedServer([acts]) as server:
        with client_of(server).open("GET", server.url + "/") as response:
            block = bytearray(1000)
            assert response.readinto(block) == 1000
            assert block == body[:1000]
            assert response.readinto(memoryview(block)[:500]) == 500
            assert response.readinto(block) == 1000
            assert response.readinto(block) == 0


def test_nothing_is_read_behind_the_body():
    _, body = get([answer("200 OK", b"12345") + b"HTTP/1.1 200 OK\r\n\r\nsmuggled", HOLD])
    assert body == b"12345"


def test_body_without_a_length_ends_when_the_server_closes():
    response, body = get([b"HTTP/1.0 200 OK\r\n\r\nall of it"])
    assert response.length is None
    assert body == b"all of it"


def test_bare_line_feeds_and_odd_spacing_are_understood():
    response, body = get([b"HTTP/1.1 200\nCONTENT-LENGTH:2  \nX:\n\nok"])
    assert (response.status, body) == (200, b"ok")


def test_informational_answers_are_skipped():
    response, body = get([b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\nHTTP/1.1 103 Hints\r\n\r\n" + answer("200 OK", b"ok")])
    assert (response.status, body) == (200, b"ok")


def test_no_body_is_waited_for_where_there_is_none():
    response, body = get([b"HTTP/1.1 204 No Content\r\n\r\n", HOLD])
    assert (response.status, response.length, body) == (204, 0, b"")
    with ScriptedServer([[b"HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n", HOLD]]) as server:
        with client_of(server).open("HEAD", server.url + "/") as response:
            assert (response.length, read(response)) == (77, b"")


def test_chunked_body_is_joined():
    text = b"5\r\nhello\r\n1;x=y\r\n \r\n00A\r\nwonderful \r\n5\r\nworld\r\n0\r\nTrailer: 1\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    for acts in ([head + text], [head, DRIP(text)]):
        response, body = get(acts + [HOLD])
        assert response.length is None
        assert body == b"hello wonderful world"


def test_chunk_larger_than_the_buffers():
    piece = bytes(range(256)) * 20
    text = b"1400\r\n" + piece + b"\r\n1400\r\n" + piece + b"\r\n0\r\n\r\n"
    assert get([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n" + text])[1] == piece + piece


def test_broken_chunks_are_an_error():
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    for text, part in (
        (b"5\r\nhello!\r\n0\r\n\r\n", "longer than its size"),
        (b"-5\r\nhello\r\n", "without a size"),
        (b"\r\n", "without a size"),
        (b"5\xff\r\nhello\r\n", "without a size"),
        (b"FFFFFFFFFFFFFFFF\r\n", "without a size"),
        (b"5" + b" " * 3000, "too long"),
        (b"0\r\n" + b"a: b\r\n" * 2000, "too long"),
        (b"5\r\nhel", "2 bytes early"),
        (b"5\r\nhello\r\n", "closed"),
    ):
        refused([head + text], part)


def test_broken_heads_are_an_error():
    for head, part in (
        (b"", "closed without an answer"),
        (b"garbage\r\n\r\n", "no HTTP answer"),
        (b"\x00\xff\x16\x03\x01" * 10 + b"\n", "no HTTP answer"),
        (b"SSH-2.0-OpenSSH\r\n", "no HTTP answer"),
        (b"HTTP/2 200\r\n\r\n", "no HTTP answer"),
        (b"HTTP/1.1 20\r\n\r\n", "no HTTP answer"),
        (b"HTTP/1.1 2000\r\n\r\n", "no HTTP answer"),
        (b"HTTP/1.1 -20\r\n\r\n", "a status"),
        (b"HTTP/1.1 099 x\r\n\r\n", "a status"),
        (b"HTTP/1.1 101 Switching\r\n\r\n", "another protocol"),
        (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "a broken header"),
        (b"HTTP/1.1 200 OK\r\n: x\r\n\r\n", "a broken header"),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n folded: x\r\n\r\n", "a broken header"),
        (b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n", "a broken header"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "closed without"),
        (b"HTTP/1.1 200 OK\r\nLocation: " + b"y" * 3000 + b"\r\n\r\n", "too long"),
        (b"x" * 3000, "too long"),
        (b"HTTP/1.1 200 OK\r\n" + (b"X: " + b"y" * 1000 + b"\r\n") * 70 + b"\r\n", "too long"),
        (b"HTTP/1.1 100 Go on\r\n\r\n" * 4000, "too long"),
    ):
        refused([head], part)


def test_headers_that_nobody_needs_are_read_past_however_long_and_many_they_are():
    for more in (
        b"Content-Security-Policy: " + b"a" * 3600 + b"\r\n",
        b"Set-Cookie: s=" + b"a" * 2100 + b"\r\n",
        (b"Set-Cookie: s=" + b"a" * 1900 + b"\r\n") * 5,
        b"X-H: 1\r\n" * 500,
        b"X: " + b"y" * 40_000 + b"\r\n",
    ):
        text = b"HTTP/1.1 200 OK\r\n" + more + b"Content-Length: 5\r\n\r\nhello"
        assert get([text])[1] == b"hello", len(more)


def test_encodings_that_encode_nothing_are_none():
    for fields in (
        b"Content-Encoding: identity\r\nContent-Length: 5",
        b"Content-Encoding: Identity, \r\nContent-Length: 5",
        b"Content-Encoding:\r\nContent-Length: 5",
        b"Transfer-Encoding: identity\r\nContent-Length: 5",
    ):
        assert get([b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n\r\nhello"])[1] == b"hello", fields
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity, Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    assert get([chunked])[1] == b"hello"


def test_impossible_lengths_are_an_error():
    for fields, part in (
        (b"Content-Length: -1", "content-length -1"),
        (b"Content-Length: +1", "content-length"),
        (b"Content-Length: 1_0", "content-length"),
        (b"Content-Length: 0x10", "content-length"),
        (b"Content-Length: 5, 5", "content-length"),
        (b"Content-Length:", "content-length"),
        (b"Content-Length: \xd9\xa3", "content-length"),
        (b"Content-Length: \xff", "content-length"),
        (b"Content-Length: 99999999999999999999", "content-length"),
        (b"Content-Length: 5\r\nContent-Length: 6", "two different content-length"),
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked", "two lengths"),
        (b"Transfer-Encoding: gzip, chunked", "transfer-encoding gzip, chunked"),
        (b"Content-Encoding: gzip", "content-encoding gzip"),
    ):
        refused([b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n\r\nhello", HOLD], part)


def test_truncated_body_is_an_error():
    refused([b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"], "5 bytes early")


def test_silence_at_any_stage_ends_after_the_idle_limit():
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
    for acts in ([HOLD], [b"HTTP", HOLD], [head[:30], HOLD], [head, HOLD], [head, b"hello", HOLD]):
        started = time.ticks_ms()
        refused(acts, "no answer from 127.0.0.1:")
        assert IDLE_MS - 20 <= time.ticks_diff(time.ticks_ms(), started) < IDLE_MS + 3000


def test_dripping_server_is_given_up_though_it_never_falls_silent():
    def slowly():
        time.sleep_ms(10)

    acts = [DRIP(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 40 + b"\r\n")]
    with ScriptedServer([acts], on_pulse=slowly) as server:
        with raises(NetError, "is too slow"):
            Client(server.pulse, idle_ms=10_000).open("GET", server.url + "/", deadline_ms=1000)
    acts = [b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", DRIP(b"x" * 1000)]
    with ScriptedServer([acts], on_pulse=slowly) as server:
        with Client(server.pulse, idle_ms=10_000).open("GET", server.url + "/", deadline_ms=1000) as response:
            with raises(NetError, "is too slow"):
                response.readinto(bytearray(1000))


def test_long_body_that_keeps_coming_is_not_cut_by_the_deadline():
    def slowly():
        time.sleep_ms(10)

    acts = [b"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n"] + [DRIP(b"x" * 3), b"x" * 997] * 20
    with ScriptedServer([acts], on_pulse=slowly) as server:
        with Client(server.pulse, idle_ms=10_000).open("GET", server.url + "/", deadline_ms=1000) as response:
            assert len(read(response, 1000)) == 20000


def test_pulse_goes_on_while_waiting():
    calls = []
    listener, port = listen()
    with raises(NetError, "no answer"):
        Client(lambda: calls.append(time.ticks_ms()), idle_ms=700).open("GET", "http://127.0.0.1:%d/" % port)
    listener.close()
    gaps = [time.ticks_diff(after, before) for before, after in zip(calls, calls[1:])]
    assert len(calls) >= 4
    assert max(gaps) <= 250


def test_error_of_the_pulse_goes_through_and_leaves_nothing_open():
    class Stop(Exception):
        pass

    def stop():
        if server.pulses == 3:
            raise Stop()

    with ScriptedServer([[HOLD]], on_pulse=stop) as server:
        with raises(Stop):
            client_of(server).open("GET", server.url + "/")
        server.pulse()
        assert server.heard_end()


class memory_of:
    """`with memory_of(idf):` the IDF has (free, largest, least) bytes; None: there is no IDF."""

    def __init__(self, idf):
        self._idf = idf

    def __enter__(self):
        self._real = memory.idf
        memory.idf = lambda: self._idf

    def __exit__(self, error_type, error, trace):
        memory.idf = self._real
        return False


def test_nobody_there_is_said_so():
    listener, port = listen()
    listener.close()
    with memory_of(None):
        with raises(NetError, "127.0.0.1:%d refuses the connection" % port):
            Client(lambda: None).open("GET", "http://127.0.0.1:%d/" % port)
        with raises(NetError, "can't resolve the name nobody.invalid"):
            Client(lambda: None).open("GET", "http://nobody.invalid/")


def test_a_name_that_can_t_be_resolved_for_lack_of_memory_is_said_so():
    with memory_of((1_900, 484, 300)), raises(NetError, "not enough memory: 1900 bytes are free, 484 in one piece"):
        Client(lambda: None).open("GET", "http://nobody.invalid/")
    with memory_of((60_000, 40_000, 30_000)), raises(NetError) as caught:
        Client(lambda: None).open("GET", "http://nobody.invalid/")
    assert "memory" not in str(caught.value)


def test_reset_connection_is_said_so():
    refused([EARLY, HANG_UP], "127.0.0.1:")


def test_unusable_addresses_are_refused_before_anything_is_sent():
    for url in ("", "ftp://a/", "http://", "http:///x", "http://a:0/", "http://a:65536/", "http://a:b/", "http://a b/",
                "http://a/\r\nX: y", "http://a/\u00e9", "127.0.0.1/x"):  # fmt: skip
        with raises(NetError, "address"):
            Client(lambda: None).open("GET", url)
    with raises(NetError, "with a password in it") as caught:
        Client(lambda: None).open("GET", "http://user:secret@a/")
    assert "secret" not in str(caught.value)


def test_header_cannot_smuggle_another():
    for options in ({"headers": {"A": "b\r\nC: d"}}, {"headers": {"A\n": "b"}}, {"auth": ("X-ApiKey", "k\r\n\r\nGET")}):
        with raises(NetError, "can't be sent") as caught:
            Client(lambda: None).open("GET", "http://127.0.0.1:1/", **options)
        assert "GET" not in str(caught.value)


def test_redirect_on_the_same_server_keeps_the_key():
    script = [
        [answer("302 Found", b"moved", ["Location: /b/c?d"])],
        [answer("307 Temporary Redirect", headers=["Location: e"])],
        [answer("308 Permanent Redirect", headers=["Location: ?f"])],
        [answer("200 OK", b"here")],
    ]
    with ScriptedServer(script) as server:
        with client_of(server).open("GET", server.url + "/a", auth=("X-ApiKey", "k1")) as response:
            assert read(response) == b"here"
    assert [request.path for request in server.requests] == ["/a", "/b/c?d", "/b/e", "/b/e?f"]
    assert [request.headers.get("x-apikey") for request in server.requests] == ["k1"] * 4


def test_redirect_to_another_server_leaves_the_key_at_home_for_good():
    def home():
        first.pulse()
        second.pulse()

    headers = {"Range": "bytes=5-", "Authorization": "Basic x", "Cookie": "y", "X-Proof": "z", "If-Range": '"e"'}
    second = ScriptedServer([])
    first = ScriptedServer([
        [answer("301 Moved", headers=["Location: http://127.0.0.1:%d/there" % second.port])],
        [answer("200 OK", b"back")],
    ])  # fmt: skip
    second._script = [[answer("302 Found", headers=["Location: %s/back" % first.url])]]
    with first, second:
        client = Client(home, idle_ms=IDLE_MS)
        with client.open("GET", first.url + "/", headers, auth=("X-ApiKey", "k1")) as response:
            assert read(response) == b"back"
    assert first.requests[0].headers["x-apikey"] == "k1"
    assert first.requests[0].headers["authorization"] == "Basic x"
    for request in (second.requests[0], first.requests[1]):
        assert sorted(request.headers) == ["connection", "host", "if-range", "range"]


def test_redirects_that_are_not_followed():
    def redirect(location):
        return [answer("302 Found", headers=["Location: " + location])]

    with ScriptedServer([redirect("/")] * 5) as server:
        with raises(NetError, "more than 3 times"):
            client_of(server).open("GET", server.url + "/")
    assert len(server.requests) == 4
    with ScriptedServer([redirect("http://127.0.0.1:1/x")]) as server:
        with raises(NetError, "redirects POST to http://127.0.0.1:1/x, which isn't followed"):
            client_of(server).open("POST", server.url + "/", body=b"x", auth=("X-ApiKey", "k1"))
    for location, part in (
        ("ftp://a/", "address"),
        ("http://u:p@a/", "address"),
        ("https://127.0.0.1:1/", "CA certificate"),
        ("//127.0.0.1:1/", "refuses the connection"),
    ):
        with board():  # has no factory record, and so no certificate
            refused(redirect(location), part)
    refused([answer("302 Found")], "redirects to nowhere")


def test_redirect_from_https_to_http_is_refused():
    from keeper.redirecting import redirected
    from keeper.talking.address import Address

    with raises(NetError, "without TLS"):
        redirected("GET", Address("https://a/x"), "http://a/x")
    assert redirected("GET", Address("https://a/x"), "//a/y").tls


def test_same_server_means_scheme_host_and_port():
    from keeper.talking.address import Address

    base = Address("https://a.b/x")
    for url, same in (("https://A.B:443/y", True), ("http://a.b:443/", False), ("https://a.b:444/", False),
                      ("https://a.c/", False), ("https://a.b.evil/", False)):  # fmt: skip
        assert base.same_server(Address(url)) is same
    assert (Address("http://[::1]:8080/x").host, Address("http://[::1]/x").port) == ("::1", 80)


def test_https_needs_a_certificate_to_trust():
    with raises(NetError, "needs a CA certificate"):
        Client(lambda: None, ca=[]).open("GET", "https://127.0.0.1:1/")
    for ca in (b"junk", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "-----BEGIN X-----"):
        with memory_of(None), raises(NetError, "can't be used"):
            Client(lambda: None, ca=ca).open("GET", "https://127.0.0.1:1/")


def json_of(acts, limit=100):
    with ScriptedServer([acts]) as server:
        with client_of(server).open("GET", server.url + "/") as response:
            return response.json(limit)


def test_json_is_read_whichever_way_it_comes():
    text = b'{"a": [1, "\xc3\xa9"]}'
    expected = {"a": [1, "\u00e9"]}
    assert json_of([answer("200 OK", text)]) == expected
    assert json_of([b"HTTP/1.1 200 OK\r\n\r\n" + text]) == expected
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert json_of([head + b"11\r\n" + text + b"\r\n0\r\n\r\n"]) == expected


def test_json_that_is_too_long_is_not_read():
    with raises(NetError, "has 101 bytes"):
        json_of([answer("200 OK", b" " * 101)])
    with raises(NetError, "has 1000000000 bytes"):
        json_of([b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n", HOLD])
    with raises(NetError, "too long"):
        json_of([b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 101])
    with raises(NetError, "too long"):
        json_of([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFF\r\n" + b" " * 2000, HOLD], 600)


def test_what_is_no_json_is_an_error():
    for text in (b"", b"<html>", b'{"a": ', b'"\xff"', b"[" * 100, b"\x00"):
        with raises(NetError, "isn't JSON"):
            json_of([answer("200 OK", text)])


def test_clock_of_the_server_is_handed_on():
    heard = []
    date = "Sat, 21 Nov 2026 20:13:18 GMT"
    with ScriptedServer([[answer("404 Not Found", headers=["Date: " + date])], [answer("200 OK")]]) as server:
        client = Client(server.pulse, idle_ms=IDLE_MS, on_date=heard.append)
        with client.open("GET", server.url + "/") as response:
            assert response.headers["date"] == date
        with client.open("GET", server.url + "/") as response:
            assert "date" not in response.headers
    assert heard == [date]


def test_closed_response_is_not_taken_for_an_empty_body():
    with ScriptedServer([[answer("200 OK", b"hello")]]) as server:
        response = client_of(server).open("GET", server.url + "/")
        response.close()
        response.close()
        with raises(NetError, "closed"):
            response.readinto(bytearray(5))
