"""Ids, keys and tokens: made here, kept only as SHA-256, compared in constant time."""

import hashlib
import hmac
import secrets


def new_id() -> str:
    """32 lower-case hex digits that name something."""
    return secrets.token_hex(16)


def new_key() -> str:
    """32 lower-case hex digits that open something (128 random bits: a plain hash is enough to keep them)."""
    return secrets.token_hex(16)


def hashed(secret: str) -> str:
    """What is stored in place of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def matches(secret: str, stored_hash: str) -> bool:
    """Whether `secret` is the one that `stored_hash` was made of; takes the same time whatever differs."""
    return hmac.compare_digest(hashed(secret), stored_hash)


def fingerprint(secret: str) -> str:
    """32 hex digits: shows that two secrets, in hex, are the same, without saying them."""
    return hashlib.sha256(bytes.fromhex(secret)).hexdigest()[:32]
