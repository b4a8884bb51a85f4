"""Keys that sign releases: RSA-3072 in PEM files. The private one never leaves the vendor's machine."""

import functools
import os
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from keeper.release import SIGNATURE_SIZE
from thermokeeper.errors import ToolError
from thermokeeper.files import read_bytes

_SALT_SIZE = 32


def generate(path: Path, passphrase: str | None) -> Path:
    """Write a new private key to `path` (mode 0600) and its public key beside it; never replaces one."""
    public_path = path.with_suffix(".pub.pem")
    key = rsa.generate_private_key(65537, SIGNATURE_SIZE * 8)
    protection: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        protection = serialization.BestAvailableEncryption(passphrase.encode())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    if public_path.exists():
        raise ToolError(f"{public_path} is there already; a key is never replaced, give another name")
    _write_new(path, pem, 0o600)
    _write_new(public_path, public, 0o644)
    return public_path


def _write_new(path: Path, data: bytes, mode: int) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise ToolError(f"{path} is there already; a key is never replaced, give another name") from None
    except OSError as error:
        raise ToolError(f"{path} can't be written: {error.strerror}") from None
    with os.fdopen(handle, "wb") as file:
        file.write(data)


def load_private(path: Path, ask_passphrase: Callable[[], str]) -> rsa.RSAPrivateKey:
    """The private key in a PEM file; `ask_passphrase` is called only if the file is protected."""
    data = read_bytes(path, "a private key made by `thermokeeper release keygen`")
    if b"PUBLIC KEY" in data:
        raise ToolError(f"{path} is a public key; signing needs the private one")
    try:
        try:
            key = _unprotected(data)
        except TypeError:  # cryptography's way to say that it is encrypted
            key = serialization.load_pem_private_key(data, ask_passphrase().encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ToolError(f"{path} isn't a private key in PEM form, or the passphrase is wrong") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ToolError(f"{path} isn't an RSA key; make one with `thermokeeper release keygen`")
    _check_numbers(str(path), key.public_key())
    return key


@functools.lru_cache(maxsize=1)  # the check of an RSA key takes a fifth of a second; who signs much signs with one
def _unprotected(data: bytes) -> PrivateKeyTypes:
    return serialization.load_pem_private_key(data, None)


def load_public(path: Path) -> bytes:
    """The 384-byte modulus of the public key in a PEM file."""
    return parse_public(read_bytes(path, "a public key (*.pub.pem)"), str(path))


def parse_public(data: bytes, name: str) -> bytes:
    """The same for bytes; `name` is for messages."""
    if b"PRIVATE KEY" in data:
        raise ToolError(f"{name} is a private key; give the public one beside it (*.pub.pem)")
    try:
        key = serialization.load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        raise ToolError(f"{name} isn't a public key in PEM form") from None
    if not isinstance(key, rsa.RSAPublicKey):
        raise ToolError(f"{name} isn't an RSA key; make one with `thermokeeper release keygen`")
    _check_numbers(name, key)
    return modulus_of(key)


def modulus_of(key: rsa.RSAPublicKey) -> bytes:
    """The public key as devices hold it."""
    return key.public_numbers().n.to_bytes(SIGNATURE_SIZE, "big")


def sign(key: rsa.RSAPrivateKey, content: bytes) -> bytes:
    """RSA-PSS as keeper.release verifies it."""
    scheme = padding.PSS(padding.MGF1(hashes.SHA256()), _SALT_SIZE)
    return key.sign(content, scheme, hashes.SHA256())


def _check_numbers(name: str, key: rsa.RSAPublicKey) -> None:
    if key.key_size != SIGNATURE_SIZE * 8 or key.public_numbers().e != 65537:
        raise ToolError(
            f"{name} isn't an RSA-3072 key with exponent 65537; make one with `thermokeeper release keygen`"
        )
