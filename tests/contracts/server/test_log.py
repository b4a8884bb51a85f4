"""The log of `server run`: a line for each thing, with time, level and the call's id; nothing secret or forged."""

from __future__ import annotations

import json
import logging
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from thermokeeper.server import calling, logs
from thermokeeper.server.local import LocalServer
from thermokeeper.server.vendor import fleet

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (INFO|WARNING|ERROR) \[([A-Za-z0-9._-]{1,64})\] \S.*")


class Running:
    """`server run` in a process of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self._file = folder.with_suffix(".log")
        command = [sys.executable, "-m", "thermokeeper", "server", "run", "--data", folder, "--port", "0", *options]
        with self._file.open("w") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self.process.stdout
        match = re.search(r" at (http://\S+) ", self.process.stdout.readline())
        assert match, self._file.read_text()
        self.url = match[1]
        self.token = (folder / "vendor-token").read_text().strip()

    def ended(self) -> list[str]:
        """Its log, once it has been told to end."""
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=30)
        return self._file.read_text().splitlines()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[type[Running]]:
    started: list[Running] = []

    def run(*options: str) -> Running:
        started.append(Running(tmp_path / f"data{len(started)}", *options))
        return started[-1]

    yield run
    for one in started:
        one.process.kill()
        one.process.communicate()


def _activated(http: httpx.Client, token: str) -> tuple[str, str]:
    """A key and an id."""
    vendor = {"X-VendorToken": token}
    template = http.post("/v1/vendor/templates.json", json={"name": "T"}, headers=vendor).json()["id"]
    product = {"code": "p", "name": "P", "defaultTemplate": template}
    assert http.post("/v1/vendor/products.json", json=product, headers=vendor).status_code == 201
    assert http.post("/v1/vendor/products/p/serials.json", json={"serialNumber": "S1"}, headers=vendor).is_success
    answer = http.post("/v1/provision/activate.json", json={"serialNumber": "S1"}, headers={"X-Request-Id": "boot-1"})
    assert answer.headers["x-request-id"] == "boot-1"
    return answer.json()["apiKey"], answer.json()["thingId"]


def test_each_line_of_text_has_its_time_level_and_call(run):
    server = run()
    with httpx.Client(base_url=server.url) as http:
        key, thing = _activated(http, server.token)
        asked = http.get(f"/v1/things/{thing}/version.json", headers={"X-ApiKey": key})
        missing = http.get("/nothing", headers={"X-Request-Id": "not sane"})
    made = {asked.headers["x-request-id"], missing.headers["x-request-id"]}
    assert len(made) == 2 and all(re.fullmatch("[0-9a-f]{32}", one) for one in made)
    lines = server.ended()
    assert all(LINE.fullmatch(line) for line in lines), lines
    of_boot = [line for line in lines if "[boot-1]" in line]
    assert len(of_boot) == 2, "what a thread says is said with the id of its call"
    assert f"serial S1 activated as thing {thing}" in of_boot[0]
    assert "POST /v1/provision/activate.json 200 in " in of_boot[1]
    (line,) = [line for line in lines if asked.headers["x-request-id"] in line]
    assert f"GET /v1/things/{thing}/version.json 204 in " in line and f"thing {thing} at 127.0.0.1" in line
    (line,) = [line for line in lines if missing.headers["x-request-id"] in line]
    assert "GET /nothing 404 (not_found) in " in line and "somebody at" in line
    text = "\n".join(lines)
    assert server.token not in text and key not in text
    assert "Application startup complete" in text, "uvicorn's lines have the same form"


def test_as_json_each_line_is_an_object_and_calls_have_their_fields(run):
    server = run("--log-format", "json")
    with httpx.Client(base_url=server.url) as http:
        _activated(http, server.token)
    found = [json.loads(line) for line in server.ended()]
    assert all({"time", "level", "message"} <= set(line) for line in found)
    said, called = [line for line in found if line.get("call") == "boot-1"]
    assert said["message"].startswith("serial S1 activated") and said["level"] == "info"
    assert called | {"ms": 0, "time": "", "message": ""} == {
        "time": "",
        "level": "info",
        "call": "boot-1",
        "message": "",
        "ms": 0,
        "method": "POST",
        "status": 200,
        "path": "/v1/provision/activate.json",
        "client": "127.0.0.1",
        "refused": None,
    }
    (made,) = [line for line in found if line.get("path") == "/v1/vendor/products.json"]
    assert made["caller"] == "vendor"


def test_quiet_leaves_out_the_line_of_each_call_and_nothing_else(run):
    server = run("--quiet")
    with httpx.Client(base_url=server.url) as http:
        _activated(http, server.token)
    text = "\n".join(server.ended())
    assert "serial S1 activated" in text and "activate.json" not in text


@pytest.mark.parametrize("kind", logs.FORMATS)
def test_no_caller_forges_a_line_or_commands_a_terminal(run, kind):
    server = run("--log-format", kind)
    forged = "2026-11-21T20:13:18.000Z ERROR [boot-1] all is lost"
    escaped = "".join(f"%{byte:02x}" for byte in f"\r\n{forged}\x1b[2J\u2028\u202e".encode())
    for path in (f"/v1/{escaped}", f"/x?{escaped}", "/\xff\xfe"):
        for given in ("a\x1b[2Jb", "a b"):  # the first isn't HTTP
            with socket.create_connection((urlsplit(server.url).hostname, urlsplit(server.url).port)) as connection:
                head = f"GET {path} HTTP/1.1\r\nHost: x\r\nX-Request-Id: {given}\r\n\r\n"
                connection.sendall(head.encode("latin-1"))
                connection.settimeout(20)
                connection.recv(65536)
    assert httpx.get(f"{server.url}/{'y' * 10_000}").status_code == 404
    lines = server.ended()
    text = "".join(lines)
    assert text.isprintable() and (text.isascii() or kind == "text")
    assert not any(line.startswith(forged[:20]) for line in lines)
    assert max(map(len, lines)) < 5000
    if kind == "text":
        assert all(LINE.fullmatch(line) for line in lines)
        assert any(f"\\r\\n{forged}\\x1b[2J\\u2028\\u202e" in line for line in lines)


def _record(message: str, error: BaseException | None = None) -> logging.LogRecord:
    found = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("x", logging.ERROR, "file.py", 1, message, (), found)


def test_a_traceback_stays_with_its_line_whatever_the_error_says():
    try:
        raise ValueError("one\n2026-11-21T20:13:18.000Z ERROR [-] two\x1b[2J")
    except ValueError as error:
        record = _record("it failed", error)
    calling.begin(calling.Call("id"))
    text = logs._Text().format(record).splitlines()
    assert len(text) > 3 and all(line.startswith("    ") for line in text[1:])
    found = json.loads(logs._Json().format(record))
    assert found["call"] == "id" and "ValueError: one" in found["traceback"][-2]
    assert all(line.isprintable() for line in [*text, *found["traceback"]])


def test_what_a_caller_or_the_disk_does_has_no_traceback(tmp_path, make_shop, caplog, refused):
    caplog.set_level(logging.INFO)
    with LocalServer(tmp_path) as server, httpx.Client(base_url=server.url, timeout=20) as http:
        shop = make_shop(server, http)
        version = shop.version("1", bytes(3_000_000), publish=True)
        device = shop.device()
        path = f"/v1/versions/{version.id}/firmware.bin"
        file = tmp_path / "firmware" / f"{version.id}.bin"
        address = urlsplit(server.url).hostname, urlsplit(server.url).port
        with socket.create_connection(address) as connection:  # goes in the middle of an upload
            head = f"PUT /v1/vendor{path[3:]} HTTP/1.1\r\nHost: x\r\nX-VendorToken: {server.vendor_token}\r\n"
            connection.sendall(f"{head}Content-Length: 9999\r\n\r\nabc".encode())
        with (
            pytest.raises(httpx.RemoteProtocolError),
            http.stream("GET", path, headers={"X-ApiKey": device.key}) as download,
        ):
            for _ in download.iter_bytes(1):  # the file is cut meanwhile
                file.write_bytes(b"")
        refused(device.call("GET", path), 500, "internal")
        file.unlink()
        refused(device.call("GET", path), 500, "internal")
        assert device.call("GET", "/target-version.json").is_success
        shop.vendor.close()
    assert "Traceback" not in caplog.text
    assert "a file that is being sent: a firmware file became shorter" in caplog.text
    assert len([line for line in caplog.messages if line.startswith("a file: ")]) == 2


def test_calls_that_run_at_once_keep_their_ids_apart(tmp_path, caplog):
    caplog.set_level(logging.INFO, "thermokeeper.server.calls")
    seen: list[tuple[str, str]] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            call = calling.current()
            seen.append((call.id if call else "", record.getMessage()))

    logger, handler = logging.getLogger(logs.CALLS), Keeping()
    logger.addHandler(handler)
    try:
        with LocalServer(tmp_path) as server:

            def ask(number: int) -> None:
                with httpx.Client(base_url=server.url) as http:
                    for round_ in range(10):
                        name = f"{number}-{round_}"
                        answer = http.get(f"/at/{name}", headers={"X-Request-Id": name})
                        assert answer.headers["x-request-id"] == name

            threads = [threading.Thread(target=ask, args=(number,)) for number in range(5)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    finally:
        logger.removeHandler(handler)
    assert len(seen) == 50 and all(f"GET /at/{name} 404" in message for name, message in seen)


def test_a_fault_of_the_program_is_told_with_its_call_and_traceback(tmp_path, make_shop, monkeypatch, refused):
    lines: list[str] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.extend(logs._Text().format(record).splitlines())

    def fails(*_: object) -> None:
        raise RuntimeError("nobody foresaw this")

    logger, handler = logging.getLogger("uvicorn.error"), Keeping(logging.ERROR)
    logger.addHandler(handler)
    try:
        with LocalServer(tmp_path) as server, httpx.Client(base_url=server.url) as http:
            shop = make_shop(server, http)
            monkeypatch.setattr(fleet, "_thing_json", fails)
            headers = {"X-VendorToken": server.vendor_token, "X-Request-Id": "fault-1"}
            answer = http.get(f"/v1/vendor/things/{shop.device().thing}.json", headers=headers)
            refused(answer, 500, "internal")
            assert answer.headers["x-request-id"] == "fault-1"
            shop.vendor.close()
    finally:
        logger.removeHandler(handler)
    assert LINE.fullmatch(lines[0]) and "ERROR [fault-1] Exception in ASGI application" in lines[0]
    assert "    RuntimeError: nobody foresaw this" in lines and all(line.startswith("    ") for line in lines[1:])
