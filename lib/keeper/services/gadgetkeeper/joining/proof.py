"""Proof that a board has the secret of its factory record, without saying it: HMAC-SHA256 over what the server asks.

Stock MicroPython has no module hmac; this is RFC 2104. Pure.
"""

import binascii
import hashlib

from keeper.errors import FactoryError

_BLOCK = 64
_KEY_PURPOSE = b"thermokeeper activation key 1"
_HEX = "0123456789abcdef"
_SECRET_DIGITS = 64  # 32 bytes


def secret_of(record):
    """The secret in a factory record, 32 bytes, or None; FactoryError if it isn't one."""
    text = record.get("secret")
    if text is None:
        return None
    if not isinstance(text, str) or len(text) != _SECRET_DIGITS:
        raise FactoryError("factory record: the secret isn't 64 hex digits in lower case; write it again")
    for char in text:
        if char not in _HEX:
            raise FactoryError("factory record: the secret isn't 64 hex digits in lower case; write it again")
    return binascii.unhexlify(text)


def key_of(secret):
    """The key for activation, 32 bytes: all that the server gets, and good for nothing else."""
    return hmac_sha256(secret, _KEY_PURPOSE)


def answer(key, serial, nonce):
    """What shows the server that who asks has the key, 64 hex digits. nonce: as the server wrote it."""
    return binascii.hexlify(hmac_sha256(key, ("activate\n%s\n%s" % (nonce, serial)).encode())).decode()


def hmac_sha256(key, message):
    """RFC 2104 with SHA-256, 32 bytes."""
    if len(key) > _BLOCK:
        key = hashlib.sha256(key).digest()
    padded = key + bytes(_BLOCK - len(key))
    inner = hashlib.sha256(bytes([byte ^ 0x36 for byte in padded]) + message).digest()
    return hashlib.sha256(bytes([byte ^ 0x5C for byte in padded]) + inner).digest()
