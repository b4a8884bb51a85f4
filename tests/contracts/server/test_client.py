"""What is between a command and its server: a proxy of the environment, a proxy before the server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from thermokeeper.client.calls import VendorClient
from thermokeeper.errors import ToolError

PROXIES = ("all_proxy", "http_proxy", "https_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


@pytest.fixture
def answering() -> Iterator[Callable[..., str]]:
    """`answering(413)`: the address of something that says this to everything."""
    running: list[HTTPServer] = []

    def start(status: int, headers: tuple[tuple[str, str], ...] = ()) -> str:
        class Answers(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(b"<html>")

            def log_message(self, *_: object) -> None:
                pass

        running.append(HTTPServer(("127.0.0.1", 0), Answers))
        threading.Thread(target=running[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{running[-1].server_port}"

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    "proxy", ["all_proxy=socks://127.0.0.1:1080/", "all_proxy=socks5://127.0.0.1:1080", "http_proxy=http://127.0.0.1:9"]
)
def test_this_machine_s_own_addresses_are_never_asked_by_a_proxy(shop, environment, proxy):
    environment.setenv(*proxy.split("="))
    with VendorClient(shop.server.url, shop.server.vendor_token) as vendor:
        assert list(vendor.templates())


def test_a_proxy_that_can_not_be_used_is_one_line_without_its_password(environment):
    environment.setenv("all_proxy", "socks://user:hunter2@127.0.0.1:1080/")
    with pytest.raises(ToolError, match=r"the proxy that the environment names .* can't be used") as refused:
        VendorClient("http://server.example", "a" * 32)
    assert "hunter2" not in str(refused.value) and "\n" not in str(refused.value)


def test_a_proxy_that_does_not_answer_is_named(environment):
    environment.setenv("http_proxy", "http://user:hunter2@127.0.0.1:9")
    with (
        VendorClient("http://server.example", "a" * 32) as vendor,
        pytest.raises(ToolError, match="by the proxy that http_proxy names") as refused,
    ):
        list(vendor.templates())
    assert "hunter2" not in str(refused.value) and "server run" not in str(refused.value)


@pytest.mark.parametrize(
    ("status", "headers", "said"),
    [
        (413, (), "a proxy on the way takes no body of this size"),
        (502, (), "a proxy answers (502), the server behind it doesn't"),
        (503, (), "a proxy answers (503), the server behind it doesn't"),
        (504, (), "a proxy answers (504), the server behind it doesn't"),
        (301, (("Location", "https://server.example/"),), "the server is at https://server.example/ (301)"),
        (401, (), "a proxy on the way asks for a login (401)"),
        (407, (), "a proxy on the way asks for a login (407)"),
        (418, (), "what answers is not a Thermokeeper server (418)"),
    ],
)
def test_the_page_of_a_proxy_before_the_server_is_told_as_such(answering, status, headers, said):
    with VendorClient(answering(status, headers), "a" * 32) as vendor, pytest.raises(ToolError) as refused:
        list(vendor.templates())
    assert said in str(refused.value) and "\n" not in str(refused.value)
