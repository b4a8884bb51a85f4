"""The device's HTTP parts against anything at all: they answer, or raise NetError, and never run away."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import cpython_streams  # noqa: F401
from keeper.errors import NetError
from keeper.redirecting import redirected
from keeper.services.text.base64stream import Base64Stream
from keeper.talking.address import Address, number
from keeper.talking.http import Client
from keeper.talking.patience import Patience
from keeper.talking.response import Response


class Pieces:
    """A wire, or the source of a stream, that gives bytes in pieces of given sizes, and then nothing."""

    peer = "test:80"

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self._data = data
        self._sizes = sizes or [len(data) or 1]
        self._turn = 0
        self.patience = Patience(lambda: None, 1000, 1000)
        self.asked_for = 0

    def close(self) -> None:
        pass

    def readinto(self, buf: bytearray | memoryview) -> int:
        size = self._sizes[self._turn % len(self._sizes)]
        self._turn += 1
        count = min(size, len(buf), len(self._data))
        self.asked_for += len(buf)
        buf[:count] = self._data[:count]
        self._data = self._data[count:]
        return count


def read_all(stream: Any, block_size: int) -> bytes:
    block = bytearray(block_size)
    data = b""
    count = block_size
    while count == block_size:
        count = stream.readinto(block)
        assert 0 <= count <= block_size
        data += block[:count]
    assert stream.readinto(block) == 0
    return data


SIZES = st.lists(st.integers(1, 700), max_size=5)
BLOCKS = st.integers(1, 900)
HTTP_SCRAPS = st.lists(
    st.sampled_from(
        [b"HTTP/1.1 ", b"HTTP/1.0 ", b"200", b" OK", b"\r\n", b"\n", b"Content-Length: ", b"Transfer-Encoding: chunked",
         b"5", b"0", b"-", b": ", b"X", b"a" * 300, b"hello", b";", b"100", b"204", b"\xff", b" ", b"\r\n\r\n"]
    )
    | st.binary(max_size=6),
    max_size=40,
).map(b"".join)  # fmt: skip


@given(HTTP_SCRAPS | HTTP_SCRAPS.map(b"HTTP/1.1 200 OK\r\n".__add__), SIZES, BLOCKS, st.sampled_from(["GET", "HEAD"]))
def test_whatever_is_sent_is_an_answer_or_a_net_error(data: bytes, sizes: list[int], block: int, method: str) -> None:
    response = Response(Pieces(data, sizes), method)
    try:
        response.read_head()
        body = read_all(response, block)
    except NetError:
        return
    assert 100 <= response.status <= 999
    assert len(body) <= len(data)
    assert response.length in (None, len(body)) or method == "HEAD"


@given(st.binary(max_size=5000), st.lists(st.integers(1, 2000), min_size=1), SIZES, BLOCKS, st.booleans())
def test_body_comes_out_as_it_was_however_it_is_cut(
    body: bytes, chunks: list[int], sizes: list[int], block: int, chunked: bool
) -> None:
    head = b"HTTP/1.1 200 OK\r\n"
    if chunked:
        text, rest, turn = b"", body, 0
        while rest:
            piece, rest = rest[: chunks[turn % len(chunks)]], rest[chunks[turn % len(chunks)] :]
            text += b"%X\r\n%s\r\n" % (len(piece), piece)
            turn += 1
        data = head + b"Transfer-Encoding: chunked\r\n\r\n" + text + b"0\r\n\r\n"
    else:
        data = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    response = Response(Pieces(data + b"beyond", sizes), "GET")
    response.read_head()
    assert read_all(response, block) == body


@given(st.binary(min_size=1, max_size=300), st.data(), SIZES)
def test_body_cut_off_anywhere_is_noticed(body: bytes, data: st.DataObject, sizes: list[int]) -> None:
    for text in (
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body),
    ):
        response = Response(Pieces(text[: data.draw(st.integers(0, len(text) - 1))], sizes), "GET")
        with pytest.raises(NetError):
            response.read_head()
            read_all(response, 64)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = st.dictionaries(st.text(max_size=10).filter(lambda name: name != "firmware"), VALUES, max_size=3)


@given(
    st.binary(max_size=4000), MEMBERS, MEMBERS, SIZES, BLOCKS, st.sampled_from([None, 1, "\t"]), st.booleans(),
    st.sampled_from(["/", "\\/", "\\u002f"]), st.sampled_from([0, 64, 76]),
)  # fmt: skip
def test_any_json_with_firmware_in_it_gives_the_firmware(
    data: bytes, before: dict[str, Any], after: dict[str, Any], sizes: list[int], block: int, indent: int | str | None,
    ascii_only: bool, slash: str, line: int,
) -> None:  # fmt: skip
    members = {**before, "firmware": "@", **{name: after[name] for name in after if name not in before}}
    text = base64.b64encode(data).decode().replace("/", slash)
    if line:
        pieces = base64.b64encode(data).decode()
        text = "\\n".join(pieces[i : i + line] for i in range(0, len(pieces), line)).replace("/", slash)
    document = json.dumps(members, indent=indent, ensure_ascii=ascii_only)
    document = document.replace('"firmware": "@"', f'"firmware": "{text}"')
    assert read_all(Base64Stream(Pieces(document.encode(), sizes), len(data)), block) == data


@given(st.binary(min_size=1, max_size=3000), st.data(), SIZES)
@example(b"abc", None, [])
def test_damaged_firmware_text_is_refused_or_still_what_strict_base64_says(
    data: bytes, draw: st.DataObject | None, sizes: list[int]
) -> None:
    document = bytearray(json.dumps({"firmware": base64.b64encode(data).decode()}).encode())
    if draw is not None:
        place = draw.draw(st.integers(0, len(document) - 1))
        document[place] = draw.draw(st.integers(0, 255))
    try:
        expected = base64.b64decode(json.loads(document)["firmware"], validate=True)
    except (ValueError, KeyError, TypeError):
        expected = None
    try:
        found = read_all(Base64Stream(Pieces(bytes(document), sizes), 10_000), 512)
    except NetError:
        return
    assert found == expected


@given(st.binary(max_size=400) | HTTP_SCRAPS, SIZES)
def test_garbage_instead_of_firmware_text_is_a_net_error(data: bytes, sizes: list[int]) -> None:
    for start in (b"", b'{"firmware":', b'{"firmware":"', b'{"a":', b'{"firmware":"QUJD",'):
        try:
            read_all(Base64Stream(Pieces(start + data, sizes), 10_000), 100)
        except NetError:
            pass


@given(
    st.text(max_size=40) | st.from_regex(r"https?://[a-z0-9.:@/?#\[\]-]{0,30}", fullmatch=True), st.text(max_size=40)
)
def test_any_text_is_an_address_or_a_net_error(url: str, location: str) -> None:
    try:
        address = Address(url)
        onward = redirected("GET", address, location)
    except NetError:
        return
    assert onward.host
    assert 0 < onward.port < 65536
    assert onward.path.startswith("/")
    assert (onward.path + onward.authority).isascii()


@given(st.text(max_size=12), st.sampled_from([10, 16]))
def test_numbers_are_digits_and_nothing_else(text: str, base: int) -> None:
    digits = "0123456789" if base == 10 else "0123456789abcdefABCDEF"
    value = number(text, base)
    if text and all(char in digits for char in text) and int(text, base) < 1 << 30:
        assert value == int(text, base)
    else:
        assert value is None


def test_server_that_never_reads_is_given_up(serve: Callable[..., Any]) -> None:
    over = threading.Event()
    server = serve(lambda peer: over.wait(10))
    started = time.monotonic()
    with pytest.raises(NetError, match="no answer"):
        Client(lambda: None, idle_ms=300).open("POST", f"http://127.0.0.1:{server.port}/", body=bytes(32_000_000))
    assert time.monotonic() - started < 5
    over.set()


def test_refusal_is_heard_though_the_server_broke_off_the_request(serve: Callable[..., Any]) -> None:
    def refusing(peer: socket.socket) -> None:
        peer.recv(1000)
        peer.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\n{}")

    url = f"http://127.0.0.1:{serve(refusing).port}/"
    with Client(lambda: None, idle_ms=2000).open("POST", url, body=bytes(32_000_000)) as response:
        assert (response.status, response.json()) == (413, {})


def test_connection_that_breaks_during_the_request_is_said_so(serve: Callable[..., Any]) -> None:
    server = serve(lambda peer: None)
    with pytest.raises(NetError, match=f"127.0.0.1:{server.port} cut the connection"):
        Client(lambda: None, idle_ms=2000).open("POST", f"http://127.0.0.1:{server.port}/", body=bytes(32_000_000))


def test_address_that_swallows_everything_is_given_up() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        full = [socket.socket() for _ in range(4)]
        for one in full:  # the queue is full now: further connections get no answer at all
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        with pytest.raises(NetError, match=f"no answer from 127.0.0.1:{port} in 300 ms"):
            Client(lambda: None, idle_ms=300).open("GET", f"http://127.0.0.1:{port}/")
        for one in full:
            one.close()
