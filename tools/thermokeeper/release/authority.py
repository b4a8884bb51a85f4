"""Certificates of authorities, for devices to trust: read from a file, and refused if a device couldn't use them."""

from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from thermokeeper.errors import ToolError
from thermokeeper.files import read_bytes

MOST_BYTES = 8 * 1024  # of all certificates; 20 usual ones don't fit the heap of a board, 10 do
# What the mbedTLS of stock firmware reads (library/x509_crt.c); of other extensions it refuses those that are critical.
_KNOWN = {
    x509.BasicConstraints.oid,
    x509.KeyUsage.oid,
    x509.ExtendedKeyUsage.oid,
    x509.SubjectAlternativeName.oid,
    x509.SubjectKeyIdentifier.oid,
    x509.AuthorityKeyIdentifier.oid,
    x509.CertificatePolicies.oid,
}
_CURVES = ("secp256r1", "secp384r1", "secp521r1")
_WHAT = "the certificate of a CA (PEM)"


def read_authority(path: Path) -> list[x509.Certificate]:
    """The certificates in a file, PEM of any number or DER of one; ToolError if one is no CA's or out of date."""
    data = read_bytes(path, _WHAT)
    try:
        found = (
            x509.load_pem_x509_certificates(data) if b"-----BEGIN" in data else [x509.load_der_x509_certificate(data)]
        )
    except ValueError:
        raise ToolError(f"{path} isn't a certificate; give {_WHAT}") from None
    for certificate in found:
        _check(path, certificate)
    size = sum(len(one.public_bytes(serialization.Encoding.DER)) for one in found)
    if size > MOST_BYTES:
        raise ToolError(
            f"{path} has {len(found)} certificates of {size} bytes; a board has memory for {MOST_BYTES}: "
            "give those that your server's certificate needs"
        )
    return found


def for_trust(path: Path) -> bytes:
    """What the module `trust` holds: DER of one certificate, PEM of several."""
    found = read_authority(path)
    if len(found) == 1:
        return found[0].public_bytes(serialization.Encoding.DER)
    return _pem(found).encode()


def for_record(path: Path) -> str:
    """What a factory record, which is JSON, holds: PEM."""
    return _pem(read_authority(path))


def describe(stored: str | bytes) -> str:
    """Whose certificates these are, as `for_trust` or `for_record` gives them, and until when they are good."""
    found = _parse(stored.encode() if isinstance(stored, str) else stored)
    return ", ".join(f"{_name(one)} until {one.not_valid_after_utc:%Y-%m-%d}" for one in found) or "not a certificate"


def _parse(data: bytes) -> list[x509.Certificate]:
    try:
        if b"-----BEGIN" in data:
            return x509.load_pem_x509_certificates(data)
        return [x509.load_der_x509_certificate(data)]
    except (ValueError, x509.InvalidVersion):
        return []


def _pem(found: list[x509.Certificate]) -> str:
    return "".join(one.public_bytes(serialization.Encoding.PEM).decode() for one in found)


def _name(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string() or "a CA without a name"


def _check(path: Path, certificate: x509.Certificate) -> None:
    name = _name(certificate)
    now = datetime.now(UTC)
    if now > certificate.not_valid_after_utc:
        raise ToolError(f"{path}: {name} expired on {certificate.not_valid_after_utc:%Y-%m-%d}")
    if now < certificate.not_valid_before_utc:
        raise ToolError(f"{path}: {name} is only valid from {certificate.not_valid_before_utc:%Y-%m-%d} on")
    try:
        is_ca = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        is_ca = False
    except (ValueError, x509.DuplicateExtension):
        raise ToolError(f"{path}: the extensions of {name} can't be read") from None
    try:
        is_ca = is_ca and certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        pass  # without it a CA may sign
    for extension in certificate.extensions:
        if extension.critical and extension.oid not in _KNOWN:
            name_of = getattr(extension.oid, "_name", extension.oid.dotted_string)
            raise ToolError(f"{path}: devices refuse {name} for its critical extension {name_of}; give another CA's")
    if not is_ca:
        raise ToolError(f"{path}: {name} isn't a CA but a server's certificate; give that of the CA that signed it")
    try:
        key: object = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, (rsa.RSAPublicKey, ec.EllipticCurvePublicKey)):
        raise ToolError(f"{path}: devices can't check what {name} signs; a CA for them has an EC or RSA key")
    if certificate.public_key_algorithm_oid == x509.oid.PublicKeyAlgorithmOID.RSASSA_PSS:
        raise ToolError(f"{path}: devices can't use the RSA-PSS key of {name}; a CA for them has a usual EC or RSA key")
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name not in _CURVES:
        raise ToolError(f"{path}: devices don't know the curve {key.curve.name} of {name}; {', '.join(_CURVES)}")
