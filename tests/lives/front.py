"""What stands between a board and its server: it notes every request, and answers some of them itself, badly.

Plain HTTP/1.1 with one request for each connection, as the boards of these tests talk. Without a rule a request goes
to the server and its answer comes back, byte by byte as it was.

    front.on("GET .*/target-version", status(503, {"Retry-After": "7"}), times=2)
    front.asked("PUT .*/version")           the requests that match, so far
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from door import Door
from plain_http import read_request
from thermokeeper.simulator.board import Board

LIMIT_S = 30
_LOOK_S = 0.005
_BLOCK = 16384


@dataclass
class Request:
    """One request; `line` is its method and path."""

    line: str
    headers: dict[str, str]
    raw: bytes
    at_s: float = field(default_factory=time.monotonic)


def connected(url: str) -> socket.socket:
    """A connection to a server of the tests, whose certificate nobody looks at here."""
    parts = urlsplit(url)
    assert parts.hostname and parts.port
    made = socket.create_connection((parts.hostname, parts.port), LIMIT_S)
    if parts.scheme != "https":
        return made
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(made)


Reply = Callable[["Exchange"], None]


@dataclass
class Exchange:
    """What a reply has to work with: the request, the board's socket, and a way to the server."""

    request: Request
    board: socket.socket
    server: str
    ended: threading.Event
    boards: list[Board]
    connections: list[int] = field(init=False)  # of each board, the number of its last one: of one of them it is this

    def __post_init__(self) -> None:
        self.boards = list(self.boards)
        self.connections = [board.pauses.connection for board in self.boards]

    def send(self, data: bytes) -> None:
        self.board.sendall(data)

    def answer_of_server(self) -> bytes:
        """The server's whole answer."""
        parts = []
        with self.connect() as upstream:
            while data := upstream.recv(_BLOCK):
                parts.append(data)
        return b"".join(parts)

    def connect(self) -> socket.socket:
        if not self.server:
            raise OSError("there is no server behind this front")
        upstream = connected(self.server)
        upstream.sendall(self.request.raw)
        return upstream

    def wait(self, over_s: float | None = None) -> bool:
        """Send nothing for so long of the board's time, or ever again; False once the board has closed its end."""
        over = threading.Event()
        for board, connection in zip(self.boards, self.connections, strict=True):
            board.pauses.keep_quiet(None if over_s is None else int(over_s * 1000), over.set, connection)
        while not over.is_set():
            if self.ended.is_set():
                return False
            readable, _, _ = select.select([self.board], [], [], _LOOK_S)
            if readable and not self.board.recv(1):
                return False
        return True


def pass_on(exchange: Exchange) -> None:
    """The server's own answer."""
    with exchange.connect() as upstream:
        while data := upstream.recv(_BLOCK):
            exchange.send(data)


def says(data: bytes) -> Reply:
    """These bytes and nothing else."""
    return lambda exchange: exchange.send(data)


def status(code: int, headers: dict[str, str] | None = None, body: bytes = b"") -> Reply:
    """An answer with this status."""
    lines = [f"HTTP/1.1 {code} of a test", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return says("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def json_body(text: str) -> Reply:
    return status(200, {"Content-Type": "application/json"}, text.encode())


def cut_after(size: int) -> Reply:
    """The server's answer, but the connection ends after so many bytes of it; below 0: so many before its end."""
    return lambda exchange: exchange.send(exchange.answer_of_server()[:size])


def slowly(over_s: float) -> Reply:
    """The server's answer, spread over so many seconds."""

    def reply(exchange: Exchange) -> None:
        answer = exchange.answer_of_server()
        pieces = max(1, int(over_s / 0.05))
        size = len(answer) // pieces + 1
        for start in range(0, len(answer), size):
            exchange.send(answer[start : start + size])
            if not exchange.wait(0.05):
                return

    return reply


def late(by_s: float) -> Reply:
    """The server's answer, after a while."""

    def reply(exchange: Exchange) -> None:
        if exchange.wait(by_s):
            pass_on(exchange)

    return reply


def silence(exchange: Exchange) -> None:
    """Nothing, for as long as the board waits."""
    exchange.wait()


class Hold:
    """Keeps requests waiting until `let_go`; then the server answers them. Meanwhile the board's time stands still.

    lets_wait: it passes, and the board may lose its patience.
    """

    def __init__(self, lets_wait: bool = False) -> None:
        self._lets_wait = lets_wait
        self._go = threading.Event()
        self.arrived = False

    def __call__(self, exchange: Exchange) -> None:
        if self._lets_wait:
            for board, connection in zip(exchange.boards, exchange.connections, strict=True):
                board.pauses.keep_quiet(connection=connection)
        self.arrived = True
        if self._go.wait(LIMIT_S):
            if self._lets_wait:
                exchange.wait(0)
            pass_on(exchange)

    def let_go(self) -> None:
        self._go.set()


@dataclass(eq=False)
class Rule:
    pattern: re.Pattern[str]
    reply: Reply
    left: int | None


class Front:
    """`with Front(server_url) as front:`; the board is to call `front.url`. Without a server only rules answer."""

    def __init__(self, server_url: str = "") -> None:
        self._server = server_url
        self._door = Door()
        self.url = self._door.url
        self.requests: list[Request] = []
        self._rules: list[Rule] = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self.boards: list[Board] = []  # that call it; their time passes where it makes them wait

    def __enter__(self) -> Front:
        threading.Thread(target=self._serve, name="front", daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._door.shut()

    def on(self, pattern: str, reply: Reply, times: int | None = None) -> Rule:
        """From now on `reply` answers requests whose method and path match, so many of them; the newest rule wins."""
        rule = Rule(re.compile(pattern), reply, times)
        with self._lock:
            self._rules.insert(0, rule)
        return rule

    def off(self, rule: Rule) -> None:
        """End a rule."""
        with self._lock, contextlib.suppress(ValueError):
            self._rules.remove(rule)

    def asked(self, pattern: str) -> list[Request]:
        """The requests so far that match."""
        return [request for request in list(self.requests) if re.match(pattern, request.line)]

    def forget(self) -> None:
        """Begin a new list of requests."""
        self.requests.clear()

    def down(self) -> None:
        """Refuse connections."""
        self._door.refuse()

    def up(self) -> None:
        """Accept connections again."""
        self._door.welcome()

    def _serve(self) -> None:
        while board := self._door.accept():
            threading.Thread(target=self._exchange, args=(board,), name="front's connection", daemon=True).start()

    def _exchange(self, board: socket.socket) -> None:
        # A board may go away, or lose its power, in the middle of anything: that is no trouble of the front.
        with contextlib.suppress(OSError), board:
            board.settimeout(LIMIT_S)
            request = _read(board)
            if request is None:
                return
            with self._lock:
                self.requests.append(request)
                reply = self._choose(request)
            reply(Exchange(request, board, self._server, self._ended, self.boards))

    def _choose(self, request: Request) -> Reply:
        for rule in self._rules:
            if rule.left != 0 and rule.pattern.match(request.line):
                if rule.left is not None:
                    rule.left -= 1
                return rule.reply
        return pass_on


def _read(board: socket.socket) -> Request | None:
    found = read_request(board)
    return found and Request(found.line.rsplit(" ", 1)[0], found.headers, found.raw)
