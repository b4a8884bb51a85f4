"""keeper.release against everything that can arrive in 4096 bytes, and against an independent signer."""

import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

import images
import releases
from keeper import release
from keeper.errors import ReleaseError
from thermokeeper.release import builder, keys

APP = images.application(6000)
FIELDS = releases.manifest(APP, b"\xff" * 8192)
GOOD = releases.header(FIELDS)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def first_byte(content: bytes, salt: bytes) -> int:
    """First byte of the encoded message: small enough to stay below the modulus with its top bit set?"""
    seen = bytearray()
    releases.sign(content, salt, encoded=seen.extend)
    return seen[0]


def only_release_errors(header: bytes) -> None:
    """Parse and verify; any exception but ReleaseError goes through."""
    for attempt in (lambda: release.parse(header), lambda: release.verify(header, releases.KEYS)):
        try:
            attempt()
        except ReleaseError as error:
            assert str(error) and "\n" not in str(error)


@pytest.mark.whole
def test_each_changed_byte_of_a_signed_header_is_refused() -> None:
    for position in range(4096):
        data = bytearray(GOOD)
        data[position] ^= 1 << position % 8
        with pytest.raises(ReleaseError):
            release.verify(data, releases.KEYS)


@given(st.binary(max_size=4096))
def test_any_bytes_are_taken_or_refused(data: bytes) -> None:
    only_release_errors(data)
    only_release_errors(data.ljust(4096, b"\xff"))
    only_release_errors((release.MAGIC + struct.pack("<H", min(len(data), 3702)) + data).ljust(4096, b"\xff")[:4096])


@given(st.sampled_from(sorted(FIELDS)), anything)
def test_any_value_in_any_field_is_taken_or_refused(name: str, value: object) -> None:
    text = json.dumps({**FIELDS, name: value}).encode()[:3702]
    only_release_errors(releases.header(text, signed=False))


@given(st.sampled_from(["name", "size", "sha256", "stored", "encoding"]), anything)
def test_any_value_in_any_field_of_a_part_is_taken_or_refused(name: str, value: object) -> None:
    fields = json.loads(json.dumps(FIELDS))
    fields["parts"][0][name] = value
    only_release_errors(releases.header(json.dumps(fields).encode()[:3702], signed=False))


@given(st.lists(st.tuples(st.integers(10, 700), st.integers(0, 255)), min_size=1, max_size=5))
def test_a_manifest_with_damaged_bytes_is_taken_or_refused(changes: list[tuple[int, int]]) -> None:
    data = bytearray(GOOD[:3712] + b"\xff" * 384)
    for position, value in changes:
        data[position] = value
    only_release_errors(bytes(data))


def test_signatures_by_cryptography_are_accepted_and_by_other_keys_refused(product: Path) -> None:
    key = serialization.load_pem_private_key((product / "key.pem").read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    for _ in range(20):  # random salts
        header = GOOD[:3712] + keys.sign(key, GOOD[:3712])
        assert release.verify(header, releases.KEYS).key == releases.KEY_ID
    other = rsa.generate_private_key(65537, 3072)
    with pytest.raises(ReleaseError, match="signature is wrong"):
        release.verify(GOOD[:3712] + keys.sign(other, GOOD[:3712]), releases.KEYS)


def test_signatures_with_wrong_padding_are_refused() -> None:
    def put(position: int, value: int) -> Callable[[bytearray], None]:
        return lambda block: block.__setitem__(position, value)

    def set_top_bit(block: bytearray) -> None:
        block[0] |= 0x80

    content = GOOD[:3712]
    low = next(salt for salt in (bytes([i]) * 32 for i in range(256)) if first_byte(content, salt) < 8)
    release.verify(content + releases.sign(content, low), releases.KEYS)
    for wrong in (
        releases.sign(content, low, encoded=set_top_bit),
        releases.sign(content, before_mask=put(317, 1)),
        releases.sign(content, before_mask=put(0, 1)),
        releases.sign(content, before_mask=put(318, 2)),
        releases.sign(content, encoded=put(383, 0xBD)),
        releases.sign(content, salt=b"\x5a" * 31 + b"\x5b", before_mask=put(350, 0)),
    ):
        with pytest.raises(ReleaseError, match="signature is wrong"):
            release.verify(content + wrong, releases.KEYS)


def test_a_manifest_too_large_for_the_header_is_refused() -> None:
    with pytest.raises(Exception, match="3702 is the limit"):
        builder.pack_header({**FIELDS, "notes": "x" * 3700})
