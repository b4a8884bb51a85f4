"""https for a server of one's own: a CA made on the first start, and a certificate for the server signed by it.

Everything lies in one folder of the data folder, private keys readable by their owner only. What devices and the
vendor's tools need of it is `ca.pem`.
"""

import ipaddress
import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from thermokeeper.contract.places import CA_FILE, TLS_FOLDER
from thermokeeper.errors import ToolError

_CA_DAYS = 3650  # longer than the boards it is given to are meant to live without a new release
_SERVER_DAYS = 730
_RENEW_DAYS = 180  # a server that is never restarted for so long has to be
_SLACK = timedelta(days=1)  # a peer's clock may be behind
_ALWAYS = ("localhost", "127.0.0.1", "::1")
_ANY_ADDRESS = ("", "0.0.0.0", "::")


@dataclass(frozen=True)
class TlsFiles:
    """Where things are: the CA's certificate, and the server's certificate and private key."""

    ca: Path
    certificate: Path
    key: Path
    names: tuple[str, ...]


def prepare(data_dir: Path, host: str = "", names: Iterable[str] = ()) -> TlsFiles:
    """Make what isn't there yet or no longer good. host: the address listened on; names: further ones of the server."""
    wanted = tuple(dict.fromkeys(_checked(name) for name in (*_ALWAYS, _own_name(), host, *names) if _is_name(name)))
    folder = data_dir / TLS_FOLDER
    found = TlsFiles(folder / CA_FILE, folder / "server.pem", folder / "server-key.pem", wanted)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        ca_key, ca = _authority(folder)
        if not _is_good(found, ca):
            _make_server(found, ca_key, ca)
    except OSError as error:
        raise ToolError(f"the server's certificates can't be kept in {folder}: {error.strerror}") from None
    return found


def _is_name(name: str) -> bool:
    return name not in _ANY_ADDRESS


def _own_name() -> str:
    """The host's name, if it is one that a certificate can have."""
    name = socket.gethostname().lower()
    try:
        return _checked(name)
    except ToolError:
        return ""


def _checked(name: str) -> str:
    """The name as a certificate has it; ToolError if it is none."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        pass
    labels = name.lower().split(".")
    allowed = set("abcdefghijklmnopqrstuvwxyz0123456789-_")
    if len(name) > 253 or not all(0 < len(label) <= 63 and set(label) <= allowed for label in labels):
        raise ToolError(f"{name!r} is no name of a server; give one like things.example.com or an IP address")
    return name.lower()


def _authority(folder: Path) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    path, key_path = folder / CA_FILE, folder / "ca-key.pem"
    if not path.exists() and not key_path.exists():
        _make_authority(path, key_path)
    advice = f"remove {folder} to have new ones made: devices then need the new {CA_FILE}"
    try:
        ca = x509.load_pem_x509_certificate(path.read_bytes())
        key = serialization.load_pem_private_key(key_path.read_bytes(), None)
    except FileNotFoundError as error:
        raise ToolError(f"{error.filename} is gone; put it back, or {advice}") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ToolError(f"the CA in {folder} can't be read; {advice}") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != ca.public_key():
        raise ToolError(f"{CA_FILE} and ca-key.pem in {folder} don't belong together; {advice}")
    if datetime.now(UTC) > ca.not_valid_after_utc:
        raise ToolError(f"the CA in {folder} has expired; {advice}")
    return key, ca


def _make_authority(path: Path, key_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Thermokeeper CA of {_own_name() or 'this host'}"[:64])])
    usage = _usage(sign_certificates=True)
    builder = (
        _builder(name, name, key, _CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    _write(key_path, _private(key), 0o600)
    _write(path, builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM), 0o644)


def _make_server(files: TlsFiles, ca_key: ec.EllipticCurvePrivateKey, ca: x509.Certificate) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Thermokeeper server")])
    builder = (
        _builder(name, ca.subject, key, _SERVER_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(one) for one in files.names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
    )
    _write(files.key, _private(key), 0o600)
    _write(files.certificate, builder.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM), 0o644)


def _is_good(files: TlsFiles, ca: x509.Certificate) -> bool:
    """Whether there is a server's certificate for all the names, of this CA, with its key, and good for long enough."""
    try:
        certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
        key = serialization.load_pem_private_key(files.key.read_bytes(), None)
        certificate.verify_directly_issued_by(ca)
        named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature, x509.ExtensionNotFound):
        return False  # whatever is wrong with it, a new one is made
    left = certificate.not_valid_after_utc - datetime.now(UTC)
    has_all = all(_general_name(name) in named for name in files.names)
    return has_all and left > timedelta(days=_RENEW_DAYS) and key.public_key() == certificate.public_key()


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SLACK)
        .not_valid_after(now + timedelta(days=days))
    )


def _usage(sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, data: bytes, mode: int) -> None:
    """A file that is there whole or not at all, and never readable by others before it is known whether it may be."""
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
    os.replace(temporary, path)
