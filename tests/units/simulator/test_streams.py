"""TLS and deflate on CPython behave as on MicroPython; each program runs on both."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import socket
import ssl
import threading
import zlib
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from support_board import file_system, make_board

from thermokeeper.simulator.board import Board

RUNTIMES = ("micropython", "cpython")
PROGRAM = """
import network, select, socket, ssl, time
wlan = network.WLAN(network.STA_IF)
wlan.active(True)
wlan.connect("workshop", "thermometer")
while not wlan.isconnected():
    time.sleep_ms(5)

def talk(name):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_REQUIRED
    with open(name, "rb") as file:
        context.load_verify_locations(cadata=file.read())
    raw = socket.socket()
    raw.connect(socket.getaddrinfo("127.0.0.1", PORT)[0][-1])
    raw.setblocking(False)
    s = context.wrap_socket(raw, server_hostname="localhost", do_handshake_on_connect=False)
    poll = select.poll()
    poll.register(s, select.POLLIN)
    sent = None
    began = time.ticks_ms()
    while time.ticks_diff(time.ticks_ms(), began) < 10000:
        sent = s.write(b"ping")
        if sent:
            break
        poll.poll(20)
    print(sent)
    buffer = bytearray(4)
    got = b""
    nothing = 0
    while time.ticks_diff(time.ticks_ms(), began) < 10000:
        count = s.readinto(memoryview(buffer)[: 9 - len(got)])
        if count is None:
            nothing += 1
            poll.poll(50)
        else:
            got += buffer[:count]
            if len(got) == 9:
                break
    print(got, nothing > 0)
    s.close()

talk("/good.der")
try:
    talk("/bad.der")
except (OSError, ValueError):
    print("refused")
"""


def certificate(folder: Path, name: str) -> bytes:
    """A certificate for localhost and its key, as files; the certificate as DER."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            False,
        )
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    (folder / f"{name}.crt").write_bytes(pem)
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    )
    return made.public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_tls_streams_wait_without_blocking_and_check_certificates(flash: Path, tmp_path: Path, runtime: str) -> None:
    good, bad = certificate(tmp_path, "good"), certificate(tmp_path, "bad")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "good.crt", tmp_path / "good.key")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for _ in range(2):
                with contextlib.suppress(OSError), context.wrap_socket(server.accept()[0], server_side=True) as peer:
                    peer.recv(4)
                    peer.sendall(b"pong")
                    threading.Event().wait(0.1)
                    peer.sendall(b" later")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        program = PROGRAM.replace("PORT", str(server.getsockname()[1]))
        vfs = file_system({"main.py": program, "good.der": good, "bad.der": bad})
        make_board(flash, "", extra=(("vfs", vfs),))
        events: list[str] = []
        Board(flash, runtime=runtime).play(lambda event: events.append(str(event)), wall_s=20)
        thread.join(5)
    assert [line for line in events if not line.startswith("--")] == ["4", "b'pong late' True", "refused"]


INFLATE = """
import deflate, io
for name, form in (("/zlib", deflate.ZLIB), ("/raw", deflate.RAW), ("/gzip", deflate.GZIP), ("/zlib", deflate.AUTO)):
    with open(name, "rb") as on_disk:
        in_memory = io.BytesIO(on_disk.read())
        on_disk.seek(0)
        for file in (on_disk, in_memory):
            stream = deflate.DeflateIO(file, form, 12)
            buffer = bytearray(100)
            total = 0
            while True:
                count = stream.readinto(buffer)
                if not count:
                    break
                total += count
            print(name, total, file.read())
try:
    deflate.DeflateIO(io.BytesIO(b"\\x00" * 40), deflate.ZLIB, 12).read(10)
except (OSError, ValueError, EOFError) as error:
    print("refused")
"""


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_decompression_takes_no_byte_too_many(flash: Path, runtime: str) -> None:
    data = b"".join(b"line %d\n" % number for number in range(900))
    files: dict[str, str | bytes] = {"main.py": INFLATE}
    for name, bits in (("zlib", 12), ("raw", -12), ("gzip", 12 + 16)):
        packer = zlib.compressobj(9, zlib.DEFLATED, bits)
        files[name] = packer.compress(data) + packer.flush() + b"rest"
    make_board(flash, "", extra=(("vfs", file_system(files)),))
    lines: list[str] = []
    Board(flash, runtime=runtime).play(lambda event: lines.append(event.text) if event.kind == "console" else None)
    names = ("/zlib", "/raw", "/gzip", "/zlib")
    assert lines == [f"{name} {len(data)} b'rest'" for name in names for _ in range(2)] + ["refused"]
