"""HMAC-SHA256 as RFC 4231 has it, and what a board answers with it; the server's own is compared in tests/contracts."""

from binascii import hexlify, unhexlify

from keeper.errors import FactoryError
from keeper.services.gadgetkeeper.joining import proof
from support import raises

SECRET = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
# key, message, HMAC-SHA256: RFC 4231, test cases 1 to 4, 6 and 7
KNOWN = [
    (b"\x0b" * 20, b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    (b"Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
    (b"\xaa" * 20, b"\xdd" * 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
    (
        unhexlify("0102030405060708090a0b0c0d0e0f10111213141516171819"),
        b"\xcd" * 50,
        "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
    ),
    (
        b"\xaa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
    (
        b"\xaa" * 131,
        b"This is a test using a larger than block-size key and a larger than block-size data. The key needs to be "
        b"hashed before being used by the HMAC algorithm.",
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
    ),
]


def test_hmac_is_that_of_the_standard():
    for key, message, expected in KNOWN:
        assert hexlify(proof.hmac_sha256(key, message)).decode() == expected


def test_a_record_without_a_secret_has_none():
    assert proof.secret_of({"serial": "S1"}) is None


def test_a_secret_is_32_bytes_in_hex():
    assert proof.secret_of({"secret": SECRET}) == bytes(range(32))
    for wrong in ("", SECRET[:-2], SECRET + "00", SECRET.upper(), "x" * 64, 7, [SECRET], b"0" * 64):
        with raises(FactoryError):
            proof.secret_of({"secret": wrong})


def test_an_answer_is_for_one_secret_one_serial_number_and_one_nonce():
    key = proof.key_of(bytes(range(32)))
    nonce = "00112233445566778899aabbccddeeff"
    answers = [
        proof.answer(key, "S1", nonce),
        proof.answer(key, "S2", nonce),
        proof.answer(key, "S1", "ff" + nonce[2:]),
        proof.answer(proof.key_of(bytes(32)), "S1", nonce),
    ]
    assert len(set(answers)) == 4
    for answer in answers:
        assert len(answer) == 64


def test_the_key_doesnt_show_the_secret():
    secret = bytes(range(32))
    assert proof.key_of(secret) != secret
    assert len(proof.key_of(secret)) == 32
