"""A release's header: what it says, who signed it, whether it fits; and that nothing else than ReleaseError leaves."""

import struct

import images
import releases
from keeper import release
from keeper.errors import ReleaseError
from support import raises

APP = images.application(6000)
FS = b"\xff" * 8192
GOOD = releases.header(releases.manifest(APP, FS))


def unsigned(**changes):
    return releases.header(releases.manifest(APP, FS, **changes), signed=False)


def test_a_right_header_says_what_is_where():
    manifest = release.parse(GOOD)
    assert (manifest.product, manifest.version, manifest.chip) == ("thermometer", "1.0.0", "esp32")
    assert (manifest.security, manifest.created, manifest.expires) == (1, "2026-11-21T20:13:18Z", None)
    assert manifest.key == releases.KEY_ID
    assert [part.name for part in manifest.parts] == ["app", "fs"]
    assert (manifest.app.size, manifest.app.stored, manifest.app.encoding) == (len(APP), len(APP), None)
    assert len(manifest.fs.sha256) == 32
    assert manifest.header_offset == 8192
    assert manifest.fs_offset == 12288
    assert manifest.slot_size == 12288 + 8192
    assert manifest.file_size == 4096 + len(APP) + 8192
    assert manifest.digest == release.digest(GOOD) and len(manifest.digest) == 64


def test_any_kind_of_buffer_is_taken():
    for kind in (bytes, bytearray, memoryview):
        assert release.verify(kind(GOOD), releases.KEYS).digest == release.digest(GOOD)


def test_unknown_fields_are_passed_over():
    assert release.parse(unsigned(colour="red", nested={"a": [1, {"b": 2}]})).version == "1.0.0"


def test_a_newer_format_is_refused_as_such():
    with raises(ReleaseError, "format 3, newer than this program knows"):
        release.parse(unsigned(format=3))


def test_every_field_is_checked():
    part = releases.manifest(APP, FS)["parts"]
    wrong = {
        "format": (0, -1, True, 1.0, "1", [1], 1 << 70),
        "product": ("", "x" * 33, 5, "a b", "a\nb", "\u00e9", []),
        "version": ("", "x" * 33, 1, "1/0", "1\x00"),
        "chip": ("", 0, "esp32\n"),
        "security": (-1, 1 << 31, 1 << 900, 1.5, True, "1", []),
        "created": ("", "2026-11-21", "2026-11-21 20:13:18Z", "2026-13-21T20:13:18Z", "2026-11-21T24:13:18Z", 5),
        "expires": ("soon", 0, "9999-99-99T99:99:99Z"),
        "key": ("", "0123", "0123456789ABCDEF", 7, "x" * 16),
        "parts": ({}, [], part[:1], part + part, [part[1], part[0]], [1, 2], "ab", 7),
    }
    for name, values in wrong.items():
        for value in values:
            with raises(ReleaseError):
                release.parse(unsigned(**{name: value}))
        if name not in ("key", "expires"):
            with raises(ReleaseError):
                release.parse(unsigned(**{name: None}))


def test_every_field_of_a_part_is_checked():
    wrong = (
        {"size": 0},
        {"size": 100},
        {"size": 1 << 25},
        {"size": "4096"},
        {"size": True},
        {"sha256": "ab"},
        {"sha256": "AB" * 32},
        {"sha256": "zz" * 32},
        {"sha256": None},
        {"encoding": "zip"},
        {"encoding": 5},
        {"encoding": "deflate"},
        {"encoding": "deflate", "stored": 0},
        {"encoding": "deflate", "stored": 1 << 24},
        {"encoding": "deflate", "stored": "9"},
    )
    for changes in wrong:
        fields = releases.manifest(APP, FS)
        fields["parts"][1].update(changes)
        with raises(ReleaseError):
            release.parse(releases.header(fields, signed=False))


def test_stored_counts_for_the_file_and_size_for_the_slot():
    fields = releases.manifest(APP, FS)
    fields["parts"][1].update({"encoding": "deflate", "stored": 100})
    manifest = release.parse(releases.header(fields, signed=False))
    assert manifest.file_size == 4096 + len(APP) + 100
    assert manifest.slot_size == 12288 + 8192


def test_text_that_is_no_manifest_is_refused():
    for text in (
        b"",
        b"{",
        b"[]",
        b"7",
        b'"x"',
        b"null",
        b"\xff\xfe{\x00}\x00",
        b"[" * 3700,
        b'{"a":' * 700,
        b"[" * 60,
        b"9" * 3700,
        b'{"format":' + b"9" * 3600 + b"}",
        b'{"format":1e999}',
        b'{"product":"\\ud800"}',
        b"{[1]:2}",
        b"-",
        b'{"format":1,"format":"x"}',
    ):
        with raises(ReleaseError):
            release.parse(releases.header(text, signed=False))


def test_brackets_that_would_fill_the_heap_are_refused_before_they_are_parsed():
    for text in (b"[" * 3700, b'{"a":' * 700, b"[" * 65):
        with raises(ReleaseError, "nested too deep"):
            release.parse(releases.header(text, signed=False))


def test_other_bytes_and_sizes_are_refused():
    for data in (b"", GOOD[:4095], GOOD + b"\xff", bytes(4096), b"\xff" * 4096, b"\xe9" + GOOD[1:]):
        with raises(ReleaseError, "not a release"):
            release.parse(data)
    with raises(ReleaseError, "size of the manifest"):
        release.parse(GOOD[:8] + struct.pack("<H", 3703) + GOOD[10:])


def test_a_signature_by_a_trusted_key_is_accepted():
    keys = dict(releases.KEYS)
    keys["0" * 16] = b"\xee" * 384
    assert release.verify(GOOD, keys).product == "thermometer"


def test_an_unsigned_release_is_refused_as_unsigned():
    with raises(ReleaseError, "isn't signed"):
        release.verify(GOOD[:3712] + b"\xff" * 384, releases.KEYS)


def test_a_key_that_is_not_trusted_is_named():
    with raises(ReleaseError, releases.KEY_ID):
        release.verify(GOOD, {})
    with raises(ReleaseError, "isn't trusted here (unnamed)"):
        release.verify(unsigned(key=None)[:3712] + GOOD[3712:], releases.KEYS)


def test_a_damaged_trusted_key_is_refused():
    with raises(ReleaseError, "damaged"):
        release.verify(GOOD, {releases.KEY_ID: b"\x01"})
    for modulus in (b"\xff" * 384, bytes(384), bytes(383) + b"\x01", b"\x80" + bytes(383)):
        with raises(ReleaseError, "signature is wrong"):
            release.verify(GOOD, {releases.KEY_ID: modulus})


def test_a_changed_manifest_or_signature_is_refused():
    # flips spread over signature and padding; all 4096 bytes: tests/units/release
    for position in list(range(3000, 3712, 97)) + list(range(3712, 4096, 31)) + [4095]:
        data = bytearray(GOOD)
        data[position] ^= 1
        with raises(ReleaseError, "signature is wrong"):
            release.verify(data, releases.KEYS)
    with raises(ReleaseError, "signature is wrong"):
        release.verify(
            releases.header(releases.manifest(APP, FS, version="1.0.1"), False)[:3712] + GOOD[3712:], releases.KEYS
        )


def test_numbers_that_are_no_signature_are_refused():
    for signature in (bytes(384), bytes(383) + b"\x01", releases.MODULUS, b"\xff" * 383 + b"\xfe"):
        with raises(ReleaseError, "signature is wrong"):
            release.verify(GOOD[:3712] + signature, releases.KEYS)


def test_a_release_has_to_be_for_this_device():
    manifest = release.parse(GOOD)
    release.check(manifest, "thermometer", "esp32", manifest.slot_size, 1)
    with raises(ReleaseError, "another product: thermometer, not kettle"):
        release.check(manifest, "kettle", "esp32", 1 << 20)
    with raises(ReleaseError, "another chip: esp32, not esp32s3"):
        release.check(manifest, "thermometer", "esp32s3", 1 << 20)
    with raises(ReleaseError, "needs a slot of 20480 bytes, there are 20479"):
        release.check(manifest, "thermometer", "esp32", 20479)
    with raises(ReleaseError, "security version 1, older than 2"):
        release.check(manifest, "thermometer", "esp32", 1 << 20, 2)
