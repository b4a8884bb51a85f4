"""Certificates, a TLS server with bad manners, and the device's client on either runtime."""

from __future__ import annotations

import datetime
import ipaddress
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

import interpreter
from door import Door

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).resolve().parent
NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Authority:
    """A certificate authority that lives as long as the test run."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(self.name, self.key, -DAY, 30 * DAY, None)
        self.pem = self._write(name + ".pem", self.certificate.public_bytes(serialization.Encoding.PEM))
        self.der = self._write(name + ".der", self.certificate.public_bytes(serialization.Encoding.DER))

    def context(
        self,
        host: str = "127.0.0.1",
        begins: datetime.timedelta = -DAY,
        ends: datetime.timedelta = 30 * DAY,
        use_rsa: bool = False,
    ) -> ssl.SSLContext:
        """A server's context with a certificate for one host."""
        key: Key = rsa.generate_private_key(65537, 2048) if use_rsa else ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        certificate = self._sign(subject, key, begins, ends, host)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path = self._write("server.pem", private + certificate.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _sign(
        self, subject: x509.Name, key: Key, begins: datetime.timedelta, ends: datetime.timedelta, host: str | None
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW + begins)
            .not_valid_after(NOW + ends)
            .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
        )
        if host is not None:
            names: list[x509.GeneralName] = [x509.DNSName(host)]
            if host[0].isdigit():
                names = [x509.IPAddress(ipaddress.ip_address(host))]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def _write(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content)
        return path


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "house-ca")


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"), "stranger-ca")


Manners = Callable[[socket.socket], None]


class Server:
    """Accepts on loopback and hands each connection to `manners`, one after another, until it is stopped."""

    def __init__(self, manners: Manners) -> None:
        self._manners = manners
        self.connections = 0
        self.ended = threading.Event()
        self._door = Door()
        self.port = self._door.port
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self.ended.set()
        self._door.shut()
        self._thread.join(5)
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        while peer := self._door.accept():
            with peer:
                self.connections += 1
                peer.settimeout(5)
                try:
                    self._manners(peer)
                except OSError:
                    pass  # the client ended it first, as many of these tests want it to


@pytest.fixture
def serve() -> Iterator[Callable[[Manners], Server]]:
    """Start servers that are stopped when the test ends."""
    servers: list[Server] = []

    def start(manners: Manners) -> Server:
        servers.append(Server(manners))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(params=["cpython", "micropython"])
def fetch(request: pytest.FixtureRequest) -> Callable[..., list[str]]:
    """Run fetch.py on one of the runtimes: fetch(ca path, url, ...) gives its lines."""
    modules = [ROOT / "lib", ROOT / "tests/units/device"]
    if request.param == "cpython":
        command = [sys.executable]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, modules))}
    else:
        command = interpreter.command(heap_kib=256)
        environment = {**os.environ, **interpreter.environment(*modules)}

    def run(ca: Path, *urls: str) -> list[str]:
        done = subprocess.run(
            [*command, str(HERE / "fetch.py"), str(ca), *urls],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.splitlines()

    return run
