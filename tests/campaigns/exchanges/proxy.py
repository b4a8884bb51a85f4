"""A proxy between a board and its server that counts their exchanges and harms the ones it is told to.

One exchange is one connection with one request, as the boards of these tests talk; they come one after another, so
one thread serves them all. What happens to a request is a `Harm` (harms.py); without one it goes to the server, and
the answer comes back as it was.

The board doesn't wait for what doesn't come: it is told, and its time passes.
"""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from door import Door
from plain_http import read_request
from thermokeeper.simulator.board import Board

LIMIT_S = 30
_BLOCK = 65536
_ID = re.compile(r"[0-9a-f]{32}")
_NAMES = {"things/": "name", "things/version": "version", "provision/activate": "activate", "firmware/": "release"}


@dataclass
class Request:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    raw: bytes
    body: bytes

    @property
    def label(self) -> str:
        """What it is for, without ids: `GET target-version`."""
        short = _ID.sub("", self.path.removeprefix("/dms").removeprefix("/v1/")).replace("//", "/")
        short = short.removesuffix(".json")
        name = _NAMES.get(short)
        return f"{self.method} {name or short.rsplit('/', 1)[-1]}"


@dataclass
class Record:
    """What became of one exchange. `at_ms` by the board's clock; `status` that the board was given, 0 for none."""

    number: int
    at_ms: float
    request: Request | None = None
    harm: str = ""
    status: int = 0

    @property
    def label(self) -> str:
        return self.request.label if self.request else "(none)"


Harm = Callable[["Exchange"], None]


class Exchange:
    """What a harm has to work with."""

    def __init__(self, proxy: Proxy, board: socket.socket, record: Record) -> None:
        self.proxy = proxy
        self.record = record
        self._board = board
        self._connection = proxy.board.pauses.connection if proxy.board else None
        assert record.request is not None
        self.request: Request = record.request

    def pass_on(self, request: Request | None = None) -> bytes:
        """Let the server do it; its whole answer, b"" if there is no server."""
        return self.proxy.ask(request or self.request)

    def send(self, data: bytes) -> None:
        """Send bytes to the board."""
        if data and not self.record.status and data[:7] == b"HTTP/1." and data[9:12].isdigit():
            self.record.status = int(data[9:12])
        self._board.sendall(data)

    def stay_silent(self) -> None:
        """Send nothing more, and return when the board has given up."""
        if self.proxy.board:
            self.proxy.board.pauses.keep_quiet(connection=self._connection)
        with contextlib.suppress(OSError):
            while self._board.recv(_BLOCK):
                pass
        self.close()

    def close(self) -> None:
        """Close the connection in order."""
        self._board.close()

    def reset(self) -> None:
        """Break the connection: the board's own end gets a reset, and what it hasn't read yet may be lost."""
        self._board.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._board.close()


def answer_plainly(exchange: Exchange) -> None:
    """No harm: the server's own answer."""
    exchange.send(exchange.pass_on())


class Proxy:
    """`with Proxy(server_url) as proxy:`; the board is to call `proxy.url`.

    clock: the board's milliseconds. `plan`: exchange number -> harm; `choose` is asked for all others.
    """

    def __init__(self, server_url: str, clock: Callable[[], float] | None = None) -> None:
        parts = urlsplit(server_url)
        self._server = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._clock = clock or (lambda: time.monotonic() * 1000)
        self.plan: dict[int, Harm] = {}
        self.choose: Callable[[Request], Harm | None] = lambda request: None
        self.refused: set[int] = set()  # exchanges whose connection is refused, until `accept_again`
        self.board: Board | None = None
        self.records: list[Record] = []
        self.held: list[Request] = []  # requests that reach the server only after the next exchange
        self.stale: list[bytes] = []  # answers that the next exchange is given
        self.elsewhere = ""  # address of another server, to lead the board to
        self.restart: Callable[[], None] = lambda: None  # of the server
        self.trouble: BaseException | None = None
        self._lock = threading.Lock()
        self._door = Door()
        self.url = self._door.url

    def __enter__(self) -> Proxy:
        if 0 in self.refused:
            self._door.refuse()
        threading.Thread(target=self._serve, name="harming proxy", daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.accept_again()
        self._door.shut()

    @property
    def refuses(self) -> bool:
        """Whether connections are refused now."""
        return self._door.refuses

    def accept_again(self) -> None:
        """End a refusal. The exchange that was refused counts as one."""
        with self._lock:
            if self._door.refuses:
                self.records.append(Record(len(self.records), self._clock(), harm="refused"))
                self._door.welcome()

    def ask(self, request: Request) -> bytes:
        """The server's whole answer to a request; b"" if the server is away or breaks off."""
        parts = []
        with contextlib.suppress(OSError), socket.create_connection(self._server, LIMIT_S) as upstream:
            upstream.sendall(request.raw)
            while data := upstream.recv(_BLOCK):
                parts.append(data)
        return b"".join(parts)

    def _serve(self) -> None:
        while board := self._door.accept():
            try:
                self._exchange(board)
            except (ConnectionError, TimeoutError):
                pass  # the board went away, or lost its power: no trouble of the proxy
            except BaseException as error:
                self.trouble = error
                return
            finally:
                board.close()

    def _exchange(self, board: socket.socket) -> None:
        board.settimeout(LIMIT_S)
        board.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number = len(self.records)
        if number + 1 in self.refused:
            self._door.refuse()  # before this one is answered, so that the next can't slip through
        at_ms = self._clock()
        request = _read(board)
        if request is None:
            return
        record = Record(number, at_ms, request)
        self.records.append(record)
        harm = self.plan.get(number) or self.choose(request) or answer_plainly
        if harm is not answer_plainly:
            record.harm = getattr(harm, "name", "harmed")
        exchange = Exchange(self, board, record)
        held, self.held = self.held, []
        stale, self.stale = self.stale, []
        if stale and harm is answer_plainly:
            exchange.pass_on()
            exchange.send(stale[0])
        else:
            harm(exchange)
        for late in held:
            self.ask(late)


def _read(board: socket.socket) -> Request | None:
    found = read_request(board)
    if found is None:
        return None
    method, path, _ = found.line.split(" ", 2)
    return Request(method, path, found.headers, found.raw, found.body)
