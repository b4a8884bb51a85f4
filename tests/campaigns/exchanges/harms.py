"""The ways in which an exchange can go wrong, each as a function that does it to an exchange of exchanges.proxy.

`HARMS` has them all by name, with what each may cost: a harm that comes between the server's work and the board's
knowledge of it may make one activation more necessary, one that does so twice two.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass

from exchanges.proxy import Exchange


@dataclass(frozen=True)
class Harm:
    """One way: name, what it does, how many more activations it may cost, and whether it does nothing to no body."""

    name: str
    do: Callable[[Exchange, int], None]
    activations: int = 0
    needs_body: bool = False
    refuses: bool = False
    least_pause_ms: int = 0

    def at(self, seed: int) -> PlannedHarm:
        return PlannedHarm(self, seed)


class PlannedHarm:
    """A harm with its seed, as the proxy takes it. `in_vain`: there was nothing that it could have harmed."""

    def __init__(self, harm: Harm, seed: int) -> None:
        self.name = harm.name
        self._harm = harm
        self._seed = seed
        self.in_vain = False

    def __call__(self, exchange: Exchange) -> None:
        try:
            self._harm.do(exchange, self._seed)
        except NothingToHarmError as answer:
            self.in_vain = True
            exchange.send(answer.args[0])


class NothingToHarmError(Exception):
    """The answer, which has no body; it is sent as it is."""


def split(answer: bytes) -> tuple[bytes, bytes]:
    """Head with its empty line, and body; an answer without a body has nothing to harm."""
    head, end, body = answer.partition(b"\r\n\r\n")
    if not body:
        raise NothingToHarmError(answer)
    return head + end, body


def with_length(head: bytes, size: int) -> bytes:
    """The head with another Content-Length."""
    lines = [line for line in head[:-4].split(b"\r\n") if not line.lower().startswith(b"content-length:")]
    return b"\r\n".join([*lines, b"content-length: %d" % size]) + b"\r\n\r\n"


# the connection is cut


def _cut_before_request(exchange: Exchange, seed: int) -> None:
    exchange.reset()


def _cut_before_answer(exchange: Exchange, seed: int) -> None:
    exchange.pass_on()
    exchange.close()


def _reset_before_answer(exchange: Exchange, seed: int) -> None:
    exchange.pass_on()
    exchange.reset()


def _cut_in_head(exchange: Exchange, seed: int) -> None:
    answer = exchange.pass_on()
    head = answer.partition(b"\r\n\r\n")[0]
    exchange.send(answer[: random.Random(seed).randrange(1, len(head) + 3)])
    exchange.close()


def _cut_in_body(exchange: Exchange, seed: int) -> None:
    head, body = split(exchange.pass_on())
    exchange.send(head + body[: random.Random(seed).randrange(len(body))])
    exchange.close()


def _reset_in_body(exchange: Exchange, seed: int) -> None:
    head, body = split(exchange.pass_on())
    exchange.send(head + body[: random.Random(seed).randrange(len(body))])
    exchange.reset()


# nothing comes any more


def _stall_before_request(exchange: Exchange, seed: int) -> None:
    exchange.stay_silent()


def _stall_in_head(exchange: Exchange, seed: int) -> None:
    answer = exchange.pass_on()
    head = answer.partition(b"\r\n\r\n")[0]
    exchange.send(answer[: random.Random(seed).randrange(1, len(head) + 3)])
    exchange.stay_silent()


def _stall_in_body(exchange: Exchange, seed: int) -> None:
    head, body = split(exchange.pass_on())
    exchange.send(head + body[: random.Random(seed).randrange(len(body))])
    exchange.stay_silent()


def _late(exchange: Exchange, seed: int) -> None:
    exchange.stay_silent()
    exchange.pass_on()


def _overtaken(exchange: Exchange, seed: int) -> None:
    exchange.proxy.held.append(exchange.request)
    exchange.stay_silent()


# things come twice, or for somebody else


def _twice_second_answer(exchange: Exchange, seed: int) -> None:
    exchange.pass_on()
    exchange.send(exchange.pass_on())


def _twice_first_answer(exchange: Exchange, seed: int) -> None:
    answer = exchange.pass_on()
    exchange.pass_on()
    exchange.send(answer)


def _twice_at_once(exchange: Exchange, seed: int) -> None:
    twin = threading.Thread(target=exchange.pass_on)
    twin.start()
    answer = exchange.pass_on()
    twin.join()
    exchange.send(answer)


def _given_to_the_next(exchange: Exchange, seed: int) -> None:
    exchange.proxy.stale.append(exchange.pass_on())
    exchange.close()


# the answer is another one


def _shortened(exchange: Exchange, seed: int) -> None:
    head, body = split(exchange.pass_on())
    body = body[: random.Random(seed).randrange(len(body))]
    exchange.send(with_length(head, len(body)) + body)


def _lengthened(exchange: Exchange, seed: int) -> None:
    head, body = split(exchange.pass_on())
    body += random.Random(seed).randbytes(1 + seed % 8000)
    exchange.send(with_length(head, len(body)) + body)


def _longer_than_said(exchange: Exchange, seed: int) -> None:
    exchange.send(exchange.pass_on() + random.Random(seed).randbytes(1 + seed % 8000))


def _endless(exchange: Exchange, seed: int) -> None:
    head, body = split(exchange.pass_on())
    exchange.send(with_length(head, 1 << 40) + body)
    exchange.stay_silent()


def _garbled_head(exchange: Exchange, seed: int) -> None:
    head, end, body = exchange.pass_on().partition(b"\r\n\r\n")
    exchange.send(garble(head, seed) + end + body)
    exchange.close()


def _garbled_body(exchange: Exchange, seed: int) -> None:
    head, body = split(exchange.pass_on())
    exchange.send(head + garble(body, seed))


def _noise(exchange: Exchange, seed: int) -> None:
    exchange.pass_on()
    exchange.send(random.Random(seed).randbytes(5000))


def garble(data: bytes, seed: int) -> bytes:
    """Some bytes of it are others."""
    chance = random.Random(seed)
    garbled = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8))):
        garbled[chance.randrange(len(garbled))] ^= chance.randrange(1, 256)
    return bytes(garbled)


def _says(status: int, *headers: str, passes: bool = False, body: bytes = b'{"error": {}}') -> Callable[..., None]:
    def do(exchange: Exchange, seed: int) -> None:
        if passes:
            exchange.pass_on()
        lines = [f"HTTP/1.1 {status} Harmed", f"Content-Length: {len(body)}", *headers]
        exchange.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    return do


def _log_in_page(exchange: Exchange, seed: int) -> None:
    body = b"<!DOCTYPE html><title>Welcome to our hotel</title>"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(body)
    exchange.send(head + body)


def _led_away(exchange: Exchange, seed: int) -> None:
    """To another server, which would like to have the key."""
    status = (301, 302, 303, 307, 308)[seed % 5]
    location = exchange.proxy.elsewhere + exchange.request.path
    exchange.send(f"HTTP/1.1 {status} Harmed\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())


# the server is started again


def _restarted_before(exchange: Exchange, seed: int) -> None:
    exchange.proxy.restart()
    exchange.close()


def _restarted_after(exchange: Exchange, seed: int) -> None:
    answer = exchange.pass_on()
    exchange.proxy.restart()
    exchange.send(answer)


# no harm, after all


def _in_drops(exchange: Exchange, seed: int) -> None:
    answer = exchange.pass_on()
    size = 1 if len(answer) < 1000 else 977
    for start in range(0, len(answer), size):
        exchange.send(answer[start : start + size])


def _in_chunks(exchange: Exchange, seed: int) -> None:
    head, body = split(exchange.pass_on())
    lines = [line for line in head[:-4].split(b"\r\n") if not line.lower().startswith(b"content-length:")]
    exchange.send(b"\r\n".join([*lines, b"transfer-encoding: chunked"]) + b"\r\n\r\n")
    chance = random.Random(seed)
    while body:
        piece, body = body[: (size := chance.randrange(1, 3000))], body[size:]
        exchange.send(b"%x;of=a test\r\n%s\r\n" % (len(piece), piece))
    exchange.send(b"0\r\nx-trailer: yes\r\n\r\n")


HARMS = {
    harm.name: harm
    for harm in (
        Harm("connection refused", _cut_before_request, refuses=True),
        Harm("cut before the request", _cut_before_request),
        Harm("cut before the answer", _cut_before_answer, 1),
        Harm("reset before the answer", _reset_before_answer, 1),
        Harm("cut in the head", _cut_in_head, 1),
        Harm("cut in the body", _cut_in_body, 1, needs_body=True),
        Harm("reset in the body", _reset_in_body, 1, needs_body=True),
        Harm("stall before the request", _stall_before_request),
        Harm("stall in the head", _stall_in_head, 1),
        Harm("stall in the body", _stall_in_body, 1, needs_body=True),
        Harm("done after the board gave up", _late, 1),
        Harm("done after the next one", _overtaken, 2),
        Harm("done twice, second answer", _twice_second_answer, 1),
        Harm("done twice, first answer", _twice_first_answer, 2),
        Harm("done twice at once", _twice_at_once, 2),
        Harm("answer given to the next one", _given_to_the_next, 2),
        Harm("body shortened", _shortened, 1, needs_body=True),
        Harm("body lengthened", _lengthened, 1, needs_body=True),
        Harm("longer than it says", _longer_than_said),
        Harm("endless", _endless, 1, needs_body=True),
        Harm("head garbled", _garbled_head, 1),
        Harm("body garbled", _garbled_body, 2, needs_body=True),
        Harm("noise", _noise, 1),
        Harm("500", _says(500)),
        Harm("500, but done", _says(500, passes=True), 1),
        Harm("502 from a proxy", _says(502, "Content-Type: text/html", body=b"<h1>Bad Gateway</h1>")),
        Harm("503, later", _says(503, "Retry-After: 40"), least_pause_ms=40_000),
        Harm("429, later", _says(429, "Retry-After: 50"), least_pause_ms=50_000),
        Harm("404", _says(404)),
        Harm("401", _says(401), 1),
        Harm("log-in page", _log_in_page),
        Harm("led away", _led_away),
        Harm("server restarted before it", _restarted_before),
        Harm("server restarted after it", _restarted_after),
        Harm("in drops", _in_drops),
        Harm("in chunks", _in_chunks, needs_body=True),
    )
}
