"""Certificates for host tests, made to measure."""

from __future__ import annotations

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


def certificate(
    name: str = "ca",
    *,
    is_ca: bool | None = True,
    begins: datetime.timedelta = -DAY,
    ends: datetime.timedelta = 30 * DAY,
    may_sign: bool | None = None,
    curve: bool = True,
) -> x509.Certificate:
    """A certificate signed by itself. is_ca None: it doesn't say; may_sign None: no key usage."""
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey = ed25519.Ed25519PrivateKey.generate()
    if curve:
        key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
    )
    if is_ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    if may_sign is not None:
        usage = dict.fromkeys(
            (
                *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
                *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
            ),
            False,
        )
        usage |= {"digital_signature": True, "key_cert_sign": may_sign}
        builder = builder.add_extension(x509.KeyUsage(**usage), critical=True)
    return builder.sign(key, hashes.SHA256() if curve else None)


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)


def der(one: x509.Certificate) -> bytes:
    return one.public_bytes(serialization.Encoding.DER)


def write(path: Path, *certificates: x509.Certificate) -> Path:
    path.write_bytes(pem(*certificates))
    return path
