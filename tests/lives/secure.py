"""What lives over https, and lives with more than one signing key, need beyond the kit."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from door import Door
from lives.front import connected
from lives.kit import Change, Company, Foundry, Life, Runtime
from thermokeeper.demo.workshop import PRODUCT
from thermokeeper.formats import factory_record
from thermokeeper.release import authority, keys
from thermokeeper.server.tls import TlsFiles, prepare

# Time servers are asked again soon, so that no test has to wait for it.
ASKS_SOON: Change = (
    ("thermometer/asking/setting.py", "_RETRY_BASE_MS = 15000", "_RETRY_BASE_MS = 200"),
    ("thermometer/asking/setting.py", "_RETRY_CAP_MS = 3600000", "_RETRY_CAP_MS = 200"),
)
_LIMIT_S = 10


class SecureCompany(Company):
    """A vendor whose server speaks https; `secure.url`, `secure.ca_path`."""

    def __init__(self, folder: Path, foundry: Foundry, runtime: Runtime) -> None:
        super().__init__(folder, foundry, runtime, tls=True)
        self.secure = self.server


def published(company: Company, version: str = "1.0.0", change: Change = (), **fields: Any) -> Path:
    """Make a release and let every board have it; its file."""
    path = company.foundry.release(version, company.runtime.source, change, **fields)
    company.publish_file(version, path)
    return path


def offered(company: Company, version: str = "1.0.0", change: Change = (), **fields: Any) -> Path:
    """The same by a server that was taken over, and takes anything."""
    path = company.foundry.release(version, company.runtime.source, change, **fields)
    company.slips_in(version, path.read_bytes())
    return path


def made_for(life: Life, release: Path, server: str, ca: Path | None = None, size: int = 60_000, **record: Any) -> Life:
    """Write a board's flash: with this release, for that server; plain http isn't allowed unless `record` says so."""
    life.made(release, size)
    life.secure = server.startswith("https")
    members = {**dict(life.runtime.pace), **record}
    if ca:
        members["ca"] = authority.for_record(ca)
    life.write("factory", factory_record.pack(life.serial, PRODUCT, server, **members))
    return life


def another_key(folder: Path) -> Path:
    """A signing key beside the foundry's own."""
    path = folder / "another-key.pem"
    if not path.exists():
        keys.generate(path, None)
    return path


class Relay:
    """TLS on a port of its own, ended here; what is in it goes to a server, one request for each connection.

    `parts` says goodbye, once the whole answer is sent: it is given the TLS socket. `waited_s`: how long after the
    answer the board kept each connection open.
    """

    def __init__(self, url: str, files: TlsFiles, parts: Callable[[ssl.SSLSocket], None]) -> None:
        self._target = url
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(files.certificate, files.key)
        self._parts = parts
        self._door = Door()
        self.url = f"https://127.0.0.1:{self._door.port}"
        self.waited_s: list[float] = []

    def __enter__(self) -> Relay:
        threading.Thread(target=self._accept, name="relay", daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._door.shut()

    def _accept(self) -> None:
        while board := self._door.accept():
            threading.Thread(target=self._serve, args=(board,), name="relayed", daemon=True).start()

    def _serve(self, board: socket.socket) -> None:
        board.settimeout(_LIMIT_S)
        try:
            with (
                self._context.wrap_socket(board, server_side=True) as stream,
                connected(self._target) as upstream,
            ):
                upstream.sendall(_request(stream))
                while data := upstream.recv(16384):
                    stream.sendall(data)
                sent_s = time.monotonic()
                try:
                    self._parts(stream)
                finally:
                    self.waited_s.append(time.monotonic() - sent_s)
        except OSError:
            pass  # the board went away, or its power did


def _request(stream: ssl.SSLSocket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(stream)
    head, _, body = data.partition(b"\r\n\r\n")
    size = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            size = int(value)
    while len(body) < size:
        piece = _more(stream)
        data += piece
        body += piece
    return data


def _more(stream: ssl.SSLSocket) -> bytes:
    piece = stream.recv(16384)
    if not piece:
        raise OSError("the board closed")
    return piece


def until_closed(stream: ssl.SSLSocket) -> None:
    """Keep the connection, without a goodbye, until the board ends it."""
    while stream.recv(4096):
        pass


def goodbye_then_until_closed(stream: ssl.SSLSocket) -> None:
    """Say goodbye (close_notify) at once, but leave the connection below it open until the board ends it."""
    stream.settimeout(_LIMIT_S)
    raw = stream.unwrap()  # sends ours, waits for the board's or the end
    while raw.recv(4096):
        pass


def strange_files(folder: Path) -> TlsFiles:
    """Certificates of an authority that nobody has heard of."""
    return prepare(folder / "stranger")
