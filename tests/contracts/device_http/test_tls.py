"""TLS on the device's client: whom it believes, whom it doesn't, and that no peer can hold it."""

from __future__ import annotations

import datetime
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

BODY = bytes(range(256)) * 1200
GOOD = f"200 {len(BODY)} {sum(BODY)}"
DAY = datetime.timedelta(days=1)
Manners = Callable[[socket.socket], None]
Serve = Callable[[Manners], Any]
Authority = Any  # the classes behind the fixtures are conftest's
Fetch = Callable[..., list[str]]


def request_of(stream: socket.socket) -> bytes:
    got = b""
    while b"\r\n\r\n" not in got:
        piece = stream.recv(4096)
        if not piece:
            raise ConnectionResetError
        got += piece
    return got


def answer(body: bytes = BODY) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def polite(context: ssl.SSLContext) -> Manners:
    def manners(peer: socket.socket) -> None:
        with context.wrap_socket(peer, server_side=True) as stream:
            request_of(stream)
            stream.sendall(answer())
            stream.unwrap()

    return manners


@pytest.mark.parametrize("form", ["pem", "der"])
@pytest.mark.parametrize("use_rsa", [False, True], ids=["ec", "rsa"])
def test_server_of_a_trusted_authority_is_believed(
    authority: Authority, serve: Serve, fetch: Fetch, form: str, use_rsa: bool
) -> None:
    server = serve(polite(authority.context(use_rsa=use_rsa)))
    assert fetch(getattr(authority, form), f"https://127.0.0.1:{server.port}/")[0] == GOOD


def test_several_authorities_in_one_file_are_all_trusted(
    authority: Authority, stranger: Authority, serve: Serve, fetch: Fetch, tmp_path: Path
) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(b"# comment\n" + stranger.pem.read_bytes() + b"\r\n" + authority.pem.read_bytes())
    urls = [f"https://127.0.0.1:{serve(polite(one.context())).port}/" for one in (authority, stranger)]
    assert fetch(both, *urls)[:2] == [GOOD, GOOD]


@pytest.mark.parametrize("form", ["pem", "der"])
def test_authorities_from_several_places_are_all_trusted(
    authority: Authority, stranger: Authority, serve: Serve, fetch: Fetch, form: str
) -> None:
    places = ",".join(str(getattr(one, form)) for one in (authority, stranger))
    urls = [f"https://127.0.0.1:{serve(polite(one.context())).port}/" for one in (authority, stranger)]
    assert fetch(places, *urls)[:2] == [GOOD, GOOD]


def test_an_authority_that_is_damaged_costs_only_itself(
    authority: Authority, stranger: Authority, serve: Serve, fetch: Fetch, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.der"
    damaged.write_bytes(stranger.der.read_bytes()[:200])
    urls = [f"https://127.0.0.1:{serve(polite(one.context())).port}/" for one in (authority, stranger)]
    said, first, second, *_ = fetch(f"{damaged},{authority.pem}", *urls)
    assert said.startswith("tk: trust: one of the CA certificates can't be used: ")
    assert first == GOOD
    assert second.startswith("NetError: TLS with ")


@pytest.mark.parametrize("host", ["localhost", "other.example"])
def test_name_on_the_certificate_has_to_be_the_one_asked_for(
    authority: Authority, serve: Serve, fetch: Fetch, host: str
) -> None:
    server = serve(polite(authority.context(host)))
    line = fetch(authority.pem, f"https://localhost:{server.port}/")[0]
    if host == "localhost":
        assert line == GOOD
    else:
        assert line.startswith(f"NetError: TLS with localhost:{server.port} failed: ")


def test_unknown_authority_is_not_believed(
    authority: Authority, stranger: Authority, serve: Serve, fetch: Fetch
) -> None:
    server = serve(polite(stranger.context()))
    line = fetch(authority.pem, f"https://127.0.0.1:{server.port}/")[0]
    assert line.startswith(f"NetError: TLS with 127.0.0.1:{server.port} failed: ")


@pytest.mark.parametrize(("begins", "ends"), [(DAY, 2 * DAY), (-2 * DAY, -DAY)], ids=["not yet", "expired"])
def test_certificate_out_of_its_time_makes_one_ask_for_the_clock(
    authority: Authority, serve: Serve, fetch: Fetch, begins: datetime.timedelta, ends: datetime.timedelta
) -> None:
    server = serve(polite(authority.context(begins=begins, ends=ends)))
    line = fetch(authority.pem, f"https://127.0.0.1:{server.port}/")[0]
    assert line.startswith("NetError: TLS with")
    assert line.endswith("; is the clock right?")


def test_peers_that_do_not_speak_tls_are_given_up(authority: Authority, serve: Serve, fetch: Fetch) -> None:
    def silent(peer: socket.socket) -> None:
        while peer.recv(4096):
            pass

    def plain(peer: socket.socket) -> None:
        peer.recv(4096)
        peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" + b"x" * 1000)
        silent(peer)

    def crashing(peer: socket.socket) -> None:
        peer.recv(100)

    def teasing(peer: socket.socket) -> None:
        peer.recv(4096)
        peer.sendall(b"\x16\x03\x03\x00\x7a\x02\x00")
        silent(peer)

    servers = [serve(manners) for manners in (silent, plain, crashing, teasing)]
    lines = fetch(authority.pem, *[f"https://127.0.0.1:{server.port}/" for server in servers])
    for server, line in zip(servers, lines, strict=False):
        assert line.startswith("NetError: ")
        assert f"127.0.0.1:{server.port}" in line
    assert lines[0].endswith("in 700 ms")
    assert lines[3].endswith("in 700 ms")


def test_body_cut_short_is_noticed_with_and_without_a_farewell(
    authority: Authority, serve: Serve, fetch: Fetch
) -> None:
    context = authority.context()

    def farewell(peer: socket.socket) -> None:
        with context.wrap_socket(peer, server_side=True) as stream:
            request_of(stream)
            stream.sendall(answer()[:-100])
            stream.unwrap()

    def vanishing(peer: socket.socket) -> None:
        with context.wrap_socket(peer, server_side=True) as stream:
            request_of(stream)
            stream.sendall(answer()[:-100])

    urls = [f"https://127.0.0.1:{serve(manners).port}/" for manners in (farewell, vanishing)]
    for line in fetch(authority.pem, *urls)[:2]:
        assert line.startswith("NetError: ")


def test_body_that_is_whole_is_not_spoilt_by_how_the_server_parts(
    authority: Authority, serve: Serve, fetch: Fetch
) -> None:
    context = authority.context()

    def clinging(peer: socket.socket) -> None:
        with context.wrap_socket(peer, server_side=True) as stream:
            request_of(stream)
            stream.sendall(answer())
            stream.recv(1)  # waits for the client's farewell

    def rude(peer: socket.socket) -> None:
        with context.wrap_socket(peer, server_side=True) as stream:
            request_of(stream)
            stream.sendall(answer())

    urls = [f"https://127.0.0.1:{serve(manners).port}/" for manners in (clinging, rude)]
    assert fetch(authority.pem, *urls)[:2] == [GOOD, GOOD]


def test_many_connections_leave_no_memory_behind(
    authority: Authority, stranger: Authority, serve: Serve, fetch: Fetch
) -> None:
    good, bad = serve(polite(authority.context())), serve(polite(stranger.context()))
    urls = [f"https://127.0.0.1:{good.port}/", f"https://127.0.0.1:{bad.port}/"]
    few = fetch(authority.pem, *urls)
    many = fetch(authority.pem, *urls * 8)
    assert [line == GOOD for line in many[:16]] == [True, False] * 8
    if many[-1].startswith("memory"):
        assert int(many[-1].split()[1]) < int(few[-1].split()[1]) + 4096


def test_https_redirect_to_http_is_refused_and_the_key_stays(authority: Authority, serve: Serve, fetch: Fetch) -> None:
    context = authority.context()
    heard: list[bytes] = []
    plain = serve(lambda peer: heard.append(request_of(peer)))

    def away(peer: socket.socket) -> None:
        with context.wrap_socket(peer, server_side=True) as stream:
            assert b"X-ApiKey: secret" in request_of(stream)
            stream.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%d/\r\n\r\n" % plain.port)

    line = fetch(authority.pem, f"https://127.0.0.1:{serve(away).port}/")[0]
    assert "without TLS, which isn't followed" in line
    assert heard == []
