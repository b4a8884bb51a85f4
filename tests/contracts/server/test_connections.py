"""What a caller can do to a server by its connection alone: say nothing, say it slowly, too much, or not read."""

import json
import resource
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest

from thermokeeper.server.http import connections, streaming
from thermokeeper.server.http.connections import ConnectionLimits
from thermokeeper.server.local import LocalServer
from thermokeeper.server.settings import Limits, Settings

SHORT = ConnectionLimits(connections=8, head_bytes=2048, head_s=1, body_s=1, body_rate=1 << 20, unread_s=1)
PATIENT = replace(SHORT, head_s=300, body_s=300)  # for what isn't about the time: a busy machine takes some, too
_PATIENCE_S = 30


@pytest.fixture
def serve(tmp_path):
    """`serve(limits)`: a server with these limits on connections."""
    running: list[LocalServer] = []

    def make(connections: ConnectionLimits, **limits: int) -> LocalServer:
        settings = replace(Settings(tmp_path, ""), limits=Limits(connections=connections, **limits))
        running.append(LocalServer(tmp_path, settings=settings))
        running[-1].start()
        return running[-1]

    yield make
    for server in running:
        server.stop()


def connect(server: LocalServer, said: bytes = b"") -> socket.socket:
    made = socket.create_connection(("127.0.0.1", server.port), timeout=_PATIENCE_S)
    made.sendall(said)
    return made


def heard(connection: socket.socket) -> bytes:
    """All until the server hangs up."""
    found = b""
    try:
        while block := connection.recv(65536):
            found += block
    except ConnectionResetError:
        pass
    return found


def code_of(answer: bytes) -> str:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"connection: close" in head and b"x-request-id: " in head
    return json.loads(body)["error"]["code"]


def test_a_connection_that_says_nothing_is_closed(serve):
    server = serve(SHORT)
    assert heard(connect(server)) == b""


@pytest.mark.parametrize("said", [b"GET /healthz HTTP/1.1\r\n", b"GET /healthz HTTP/1.1\r\nHost: here\r\nX-Slow: "])
def test_a_head_that_does_not_end_is_408(serve, said):
    answer = heard(connect(serve(SHORT), said))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert code_of(answer) == "too_slow"


def test_a_head_that_drips_gets_no_more_time(serve):
    connection = connect(serve(SHORT), b"GET /healthz HTTP/1.1\r\n")
    over = threading.Event()

    def drip() -> None:
        while not over.wait(0.1):
            try:
                connection.sendall(b"X-Drip: 1\r\n")
            except OSError:
                return

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        assert heard(connection)[:13] in (b"HTTP/1.1 408 ", b"")
    finally:
        over.set()
        thread.join()


def test_a_body_that_does_not_end_is_408(serve, capfd):
    answer = heard(
        connect(
            serve(SHORT),
            b"POST /v1/provision/activate.json HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n\r\n{",
        )
    )
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert code_of(answer) == "too_slow"
    assert "Traceback" not in capfd.readouterr().err


def test_a_server_that_stops_waits_for_no_body(serve, capfd):
    server = serve(ConnectionLimits())
    head = b"POST /v1/provision/activate.json HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n"
    connection = connect(server, head + b"Expect: 100-continue\r\n\r\n")
    assert connection.recv(100).startswith(b"HTTP/1.1 100 "), "its call has begun"
    server.stop()
    assert heard(connection) == b""
    assert "Traceback" not in capfd.readouterr().err


def test_a_head_of_any_length_takes_no_memory(serve):
    answer = heard(connect(serve(PATIENT), b"GET /healthz HTTP/1.1\r\n" + b"X-Long: 1\r\n" * 1000))
    assert answer.startswith(b"HTTP/1.1 431 ") or answer == b""  # a reset overtakes the answer where more lay unread


def test_what_is_no_http_is_400_in_our_form(serve):
    answer = heard(connect(serve(PATIENT), b"BREW coffee\r\n\r\n"))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert code_of(answer) == "bad_request"


def test_the_idlest_connection_makes_room_for_a_new_one(serve):
    server = serve(PATIENT)
    silent = [connect(server) for _ in range(20)]
    assert httpx.get(f"{server.url}/healthz").status_code == 200
    assert heard(silent[0]) == b""
    for connection in silent:
        connection.close()


def test_where_every_connection_has_work_a_new_one_is_told_to_come_again(serve):
    server = serve(replace(PATIENT, connections=3))
    head = b"POST /v1/provision/activate.json HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n"
    busy = [connect(server, head + b"Expect: 100-continue\r\n\r\n") for _ in range(3)]
    for connection in busy:
        assert connection.recv(100).startswith(b"HTTP/1.1 100 "), "its call has begun"
    found = heard(connect(server))
    assert found.startswith(b"HTTP/1.1 503 ")
    assert code_of(found) == "busy"
    assert b"retry-after: 2" in found.lower()
    for connection in busy:
        connection.close()


def eventually(ask: Callable[[], bytes], right: Callable[[bytes], bool]) -> bytes:
    until_s = time.monotonic() + _PATIENCE_S
    while not right(found := ask()):
        assert time.monotonic() < until_s, found
    return found


def test_an_answer_that_nobody_reads_is_given_up(serve, make_shop):
    server = serve(PATIENT)
    with httpx.Client(base_url=server.url) as http:
        shop = make_shop(server, http)
        version = shop.version("1", bytes(16 << 20), publish=True)  # more than any buffer on the way holds
        device = shop.device()
        head = f"GET /v1/versions/{version.id}/firmware.bin HTTP/1.1\r\nHost: here\r\nX-ApiKey: {device.key}\r\n\r\n"
        connection = connect(server, head.encode())
        eventually(lambda: b"%d" % len(open_firmware()), lambda number: number != b"0")
        eventually(lambda: b"%d" % len(open_firmware()), lambda number: number == b"0")
        assert len(heard(connection)) < 16 << 20
        shop.vendor.close()


def test_a_download_whose_caller_has_gone_is_read_no_further(serve, make_shop, monkeypatch):
    read: list[None] = []
    next_of = streaming._next_of

    def counted(blocks):
        read.append(None)
        return next_of(blocks)

    monkeypatch.setattr(streaming, "_next_of", counted)
    server = serve(replace(PATIENT, unread_s=300))
    with httpx.Client(base_url=server.url) as http:
        shop = make_shop(server, http)
        version = shop.version("1", bytes(16 << 20), publish=True)
        device = shop.device()
        url = f"{server.url}/v1/versions/{version.id}/firmware.bin"
        with httpx.stream("GET", url, headers={"X-ApiKey": device.key}) as download:
            assert download.status_code == 200
            assert open_firmware()
        eventually(lambda: b"%d" % len(open_firmware()), lambda number: number == b"0")
        assert len(read) < (16 << 20) // streaming._BLOCK_BYTES, "all was read, for nobody"
        shop.vendor.close()


def open_firmware() -> list[str]:
    """The firmware files that this process, where the server runs, has open."""
    import os
    from pathlib import Path

    found = []
    for link in Path("/proc/self/fd").iterdir():
        try:
            name = os.readlink(link)
        except OSError:
            continue
        if name.endswith(".bin") and "/firmware/" in name:
            found.append(name)
    return found


@pytest.mark.parametrize("chunked", [False, True])
def test_a_stranger_s_large_body_is_refused_before_it_is_read(serve, chunked):
    server = serve(ConnectionLimits(), device_body_bytes=1000)
    taken = 0

    def body():
        nonlocal taken
        for _ in range(900):
            taken += 1000
            yield bytes(1000)

    headers = {"X-VendorToken": "0" * 32}
    if not chunked:
        headers["Content-Length"] = "900000"
    url = f"{server.url}/v1/vendor/products.json"
    response = httpx.post(url, headers=headers, content=body() if chunked else bytes(900_000))
    assert response.status_code == 401, response.text
    assert response.json()["error"]["code"] == "unauthorized"
    headers["X-VendorToken"] = server.vendor_token
    assert httpx.post(url, headers=headers, content=bytes(900_000)).status_code == 400, "the vendor's own is read"


def test_a_stranger_who_announces_a_large_body_is_refused_before_he_sends_it(serve):
    server = serve(PATIENT, device_body_bytes=1000)
    head = "POST /v1/vendor/products.json HTTP/1.1\r\nHost: here\r\nContent-Length: 900000\r\n\r\n"
    with connect(server, head.encode()) as connection:
        assert connection.recv(65536).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize(
    ("limits", "raised_to", "room"),
    [
        ((1024, 1024), 1024, (1024 - 64) // 2),
        ((1024, 4096), 4096, (4096 - 64) // 2),
        ((1024, 1 << 20), 2 * 8192 + 64, 8192),
        ((1024, resource.RLIM_INFINITY), 2 * 8192 + 64, 8192),
        ((1 << 20, 1 << 20), None, 8192),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), None, 8192),
        ((70, 70), 70, 16),
    ],
)
def test_there_are_no_more_connections_than_descriptors_for_them_and_their_files(monkeypatch, limits, raised_to, room):
    monkeypatch.setattr(connections, "_RESERVED_FILES", 64)
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _what: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _what, wanted: given.append(wanted))
    assert connections.room_for(8192) == room
    assert given == ([] if raised_to is None else [(raised_to, limits[1])])


def test_a_tls_connection_that_says_nothing_is_closed(tmp_path):
    settings = replace(Settings(tmp_path, ""), limits=Limits(connections=SHORT))
    with LocalServer(tmp_path, settings=settings, tls=True) as server:
        trusted = ssl.create_default_context(cafile=str(server.ca_path))
        with trusted.wrap_socket(connect(server), server_hostname="127.0.0.1") as connection:
            assert connection.recv(100) == b""
