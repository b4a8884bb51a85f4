"""Boards whose memory runs out show what a chip shows; and what a life came to can be read from the board."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from support_board import file_system, make_board

from thermokeeper.errors import ToolError
from thermokeeper.simulator.board import Board, Event

runtimes = pytest.mark.parametrize("runtime", ["micropython", "cpython", "cpython-process"])
LIMIT_S = 20

JOIN = """
import esp32, gc, network, socket, ssl, time
wlan = network.WLAN(network.STA_IF)
wlan.active(True)
wlan.connect("workshop", "thermometer")
while not wlan.isconnected():
    time.sleep_ms(5)

def free():
    return sum(region[1] for region in esp32.idf_heap_info(esp32.HEAP_DATA))

def largest():
    return max(region[2] for region in esp32.idf_heap_info(esp32.HEAP_DATA))

def tried(call, *arguments, **options):
    try:
        call(*arguments, **options)
    except OSError as error:
        return "OSError %d" % error.errno
    except ValueError as error:
        return str(error).strip()
    return "done"

def address(port):
    return socket.getaddrinfo("127.0.0.1", port)[0][-1]
"""
TLS = """
def trusting():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_REQUIRED
    with open("ca.der", "rb") as file:
        context.load_verify_locations(cadata=file.read())
    return context

def connected(context, port):
    raw = socket.socket()
    raw.connect(address(port))
    return raw, context.wrap_socket(raw, server_hostname="localhost", do_handshake_on_connect=False)

def leave(context, size):
    # the account is per certificate
    with open("ca.der", "rb") as file:
        der = file.read()
    while free() > size + 700:
        context.load_verify_locations(cadata=der)
"""


def play(board: Board, **options: object) -> list[Event]:
    events: list[Event] = []
    board.play(events.append, wall_s=LIMIT_S, **options)  # type: ignore[arg-type]
    return events


def console(events: list[Event]) -> list[str]:
    return [event.text for event in events if event.kind == "console"]


@contextlib.contextmanager
def answering(tmp_path: Path) -> Iterator[tuple[int, bytes]]:
    """A TLS server that answers each line with `pong`: its port, and the certificate to trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .add_extension(x509.SubjectAlternativeName(names), False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (tmp_path / "server.pem").write_bytes(
        made.public_bytes(pem)
        + key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")

    def talk(raw: socket.socket) -> None:
        with contextlib.suppress(OSError), context.wrap_socket(raw, server_side=True) as peer:
            while peer.recv(5):
                peer.sendall(b"pong")

    def serve(server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=talk, args=(server.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        yield server.getsockname()[1], made.public_bytes(serialization.Encoding.DER)


def with_tls(flash: Path, program: str, port: int, der: bytes) -> None:
    vfs = file_system({"main.py": f"PORT = {port}\n{JOIN}{TLS}{program}", "ca.der": der})
    make_board(flash, "", extra=(("vfs", vfs),))


def test_a_program_that_keeps_too_much_cannot_start_the_radio_and_the_board_starts_anew_again_and_again(
    flash: Path,
) -> None:
    program = """
import network
wlan = network.WLAN(network.STA_IF)
kept = [[number] for number in range(3000)]
print("assembled")
wlan.active(True)
"""
    make_board(flash, program)
    board = Board(flash, memory="v1.25", heap="512k")
    events = play(board, max_boots=2)
    assert console(events) == ["assembled"] * 2
    panics = [event.text for event in events if event.kind == "panic"]
    assert panics == ["failed to allocate memory for RF calibration data"] * 2
    assert board.memory.areas == 3
    assert board.memory.least < 1000
    assert 112000 < board.memory.used < 166000
    play(roomy := Board(flash, memory="roomy", heap="512k"), max_boots=1)
    assert roomy.outcome == "repl"


def test_a_heap_that_is_full_already_leaves_none_for_the_driver(flash: Path) -> None:
    make_board(
        flash,
        """
import network, time
kept = [[number] for number in range(3000)]
time.sleep_ms(1)
network.WLAN(network.STA_IF)
""",
    )
    board = Board(flash, memory="v1.25", heap="512k")
    assert console(play(board))[-1] == "RuntimeError: Wifi Unknown Error 0x0101"


def test_the_heap_can_be_read_as_on_a_chip(flash: Path) -> None:
    program = """
import esp32, gc
def heap():
    gc.collect()
    return gc.mem_alloc(), gc.mem_alloc() + gc.mem_free() - max(r[2] for r in esp32.idf_heap_info(esp32.HEAP_DATA))
before, total = heap()
kept = [[number] for number in range(1500)]
after, grown = heap()
print(total, grown, 30000 < after - before < 80000, before < 8000)
"""
    make_board(flash, program)
    board = Board(flash, memory="v1.25")
    assert console(play(board)) == ["56000 112000 True True"]
    assert board.memory.areas == 2


@runtimes
def test_a_quiet_life_has_the_least_that_was_measured(flash: Path, runtime: str) -> None:
    program = """
kept = [[number] for number in range(1200)]
s = socket.socket()
try:
    s.connect(address(1))
except OSError:
    pass
time.sleep_ms(20)
s.close()
print(largest() > 30000, gc.mem_free() > largest())
"""
    make_board(flash, JOIN + program)
    board = Board(flash, runtime=runtime, memory="v1.25")
    assert console(play(board)) == ["True True"]
    assert board.memory.areas == 2
    assert 31000 <= board.memory.least <= 32000
    assert board.memory.unclosed == 0


@runtimes
def test_https_works_with_enough_left_and_fails_with_too_little(flash: Path, tmp_path: Path, runtime: str) -> None:
    program = """
context = trusting()
for size in (34000, 29000, 21000):
    leave(context, size)
    raw = socket.socket()
    raw.connect(address(PORT))
    try:
        stream = context.wrap_socket(raw, server_hostname="localhost", do_handshake_on_connect=False)
    except OSError as error:
        print(error.errno)
        raw.close()
        continue
    print(tried(stream.write, b"ping\\n"))
    before = free()
    stream.close()
    raw.close()
    print(free() - before)
leave(context, 0)
print(tried(socket.socket))
print(tried(context.load_verify_locations, cadata=b""))
kept = []
while free() >= 300:
    kept.append(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
print(tried(ssl.SSLContext, ssl.PROTOCOL_TLS_CLIENT))
print(tried(socket.getaddrinfo, "127.0.0.1", 80))
"""
    with answering(tmp_path) as (port, der):
        with_tls(flash, program, port, der)
        board = Board(flash, runtime=runtime, memory="v1.25")
        lines = console(play(board))
    assert lines[:2] == ["done", str(22700 + 2600 + 400)]
    assert lines[2:4] == ["The certificate is not correctly signed by the trusted CA", "400"], "the socket's 400 only"
    assert lines[4] == "12", "not even TLS's buffers"
    assert lines[5:] == ["OSError 105", "invalid cert", "OSError 12", "OSError -203"]


@runtimes
def test_tls_that_is_not_closed_is_kept_until_collected_and_told(flash: Path, tmp_path: Path, runtime: str) -> None:
    program = """
def leak(context):
    raw, stream = connected(context, PORT)
    stream.write(b"ping\\n")
    raw.close()

def deep(number):
    return deep(number - 1) + 1 if number else 0

context = trusting()
leak(context)
before = free()
deep(20)
gc.collect()
print(free() - before)
raw, stream = connected(context, PORT)
stream.write(b"ping\\n")
stream.close()
raw.close()
stream = None
gc.collect()
"""
    with answering(tmp_path) as (port, der):
        with_tls(flash, program, port, der)
        board = Board(flash, runtime=runtime, memory="v1.25")
        assert console(play(board)) == [str(22700 + 2600)]
    assert board.memory.unclosed == 1


@runtimes
def test_sockets_that_are_closed_give_back_what_they_had(flash: Path, runtime: str) -> None:
    program = """
first = free()
for _ in range(5):
    sockets = [socket.socket() for _ in range(4)]
    print(first - free())
    for s in sockets:
        s.close()
    print(first - free())
"""
    make_board(flash, JOIN + program)
    assert console(play(Board(flash, runtime=runtime, memory="v1.25"))) == ["1600", "0"] * 5


def test_there_is_only_the_memory_that_is_known(flash: Path) -> None:
    make_board(flash, "")
    with pytest.raises(ToolError, match=r"no memory `v9`: v1.25, v1.26, roomy"):
        Board(flash, memory="v9")
