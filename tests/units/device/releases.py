"""Release files for tests on both runtimes, signed with a key that is made anew for each run.

A signature takes a third of a second on MicroPython: sign once in a file of tests, at module level.
"""

import binascii
import hashlib
import json
import os
import struct


def _test_key():
    """The numbers of the key that tests/conftest.py made for this run, in a file that the environment names."""
    path = os.getenv("THERMOKEEPER_TEST_KEY")
    if not path:
        raise RuntimeError("no test key: run the tests with pytest")
    with open(path) as file:
        numbers = json.load(file)
    return [int(numbers[name], 16) for name in ("p", "q", "dp", "dq", "qi")]


P, Q, DP, DQ, QI = _test_key()
N = P * Q
MODULUS = N.to_bytes(384, "big")
KEY_ID = binascii.hexlify(hashlib.sha256(MODULUS).digest()[:8]).decode()
KEYS = {KEY_ID: MODULUS}


def manifest(app, fs, **changes):
    """A right manifest for the two parts, as a dict; None for a field leaves it out."""
    parts = [
        {"name": "app", "size": len(app), "sha256": binascii.hexlify(hashlib.sha256(app).digest()).decode()},
        {"name": "fs", "size": len(fs), "sha256": binascii.hexlify(hashlib.sha256(fs).digest()).decode()},
    ]
    fields = {"format": 1, "product": "thermometer", "version": "1.0.0", "chip": "esp32", "security": 1}
    fields["created"] = "2026-11-21T20:13:18Z"
    fields["key"] = KEY_ID
    fields["parts"] = parts
    for name, value in changes.items():
        if value is None:
            fields.pop(name)
        else:
            fields[name] = value
    return fields


def header(fields, signed=True):
    """The 4096 bytes for a manifest: a dict, or bytes taken as they are."""
    text = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    data = b"TKREL001" + struct.pack("<H", len(text)) + text
    data += b"\xff" * (3712 - len(data))
    return data + (sign(data) if signed else b"\xff" * 384)


def release_file(app, fs, **changes):
    """A whole signed release file."""
    return header(manifest(app, fs, **changes)) + app + fs


def sign(content, salt=b"\x5a" * 32, before_mask=None, encoded=None):
    """RSA-PSS (RFC 8017 9.1.1) of `content` with the test key.

    For wrong signatures: two functions that change the padding, and the encoded message, each a bytearray, in place.
    """
    digest = hashlib.sha256(bytes(8) + hashlib.sha256(content).digest() + salt).digest()
    block = bytearray(bytes(318) + b"\x01" + salt)
    if before_mask:
        before_mask(block)
    for i in range(11):
        mask = hashlib.sha256(digest + struct.pack(">I", i)).digest()
        for j in range(min(32, len(block) - i * 32)):
            block[i * 32 + j] ^= mask[j]
    block[0] &= 0x7F
    block.extend(digest + b"\xbc")
    if encoded:
        encoded(block)
    number = int.from_bytes(bytes(block), "big")
    assert number < N, "another salt is needed"
    a = pow(number % P, DP, P)
    b = pow(number % Q, DQ, Q)
    return (b + (a - b) * QI % P * Q).to_bytes(384, "big")
