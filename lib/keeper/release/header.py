"""A release's header: its signed manifest is read, verified and held against what the device is. Pure.

The header is 4096 bytes and comes first in a release file; in a slot it is behind the application:
    0     8    magic b"TKREL001"
    8     2    u16 LE size of the manifest, at most 3702
    10         manifest: one JSON object, UTF-8; then 0xFF up to 3712
    3712  384  signature: RSA-3072 PSS, SHA-256, MGF1-SHA-256, 32 bytes of salt, over 0..3711; all 0xFF = not signed
The parts follow: "app" (an application image), then "fs" (a LittleFS2 image). Any 4096 bytes may arrive here:
ReleaseError is all that leaves. This module must not know flash, network or NVS.
"""

import binascii
import hashlib
import struct

from keeper.board.layout import (  # noqa: F401
    BLOCK_SIZE,
    CHUNK_SIZES,
    HEADER_SIZE,
    REUSING,
    REUSING_LIMIT,
    Layout,
    Part,
)
from keeper.errors import ReleaseError
from keeper.talking import jsontext

MAGIC = b"TKREL001"
FORMAT = 2  # 1 but for an application that is signed for Secure Boot v2: its part has the signature sector, too
MANIFEST_OFFSET = 10
SIGNATURE_OFFSET = 3712
SIGNATURE_SIZE = 384
MAX_MANIFEST_SIZE = SIGNATURE_OFFSET - MANIFEST_OFFSET
MAX_PART_SIZE = 16 << 20
MAX_TEXT = 32
MAX_SECURITY = 0x7FFFFFFF

ENCODINGS = tuple(CHUNK_SIZES)

_HEX = "0123456789abcdef"
_TOKEN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-"


class Manifest(Layout):
    """What a header says, checked field by field, and what follows from it."""

    def __init__(self, fields, digest):
        found = _integer(fields, "format", 1, 1 << 30)
        if found > FORMAT:
            raise ReleaseError("the release has format %d, newer than this program knows (%d)" % (found, FORMAT))
        product = _text(fields, "product", 1, MAX_TEXT, _TOKEN)
        version = _text(fields, "version", 1, MAX_TEXT, _TOKEN)
        chip = _text(fields, "chip", 1, MAX_TEXT, _TOKEN)
        security = _integer(fields, "security", 0, MAX_SECURITY)
        self.created = _time(fields, "created")
        self.expires = _time(fields, "expires") if "expires" in fields else None
        self.key = _text(fields, "key", 16, 16, _HEX) if "key" in fields else ""
        parts = fields.get("parts")
        if type(parts) is not list or len(parts) != 2:
            raise ReleaseError('the manifest is wrong: the parts must be "app", then "fs"')
        parts = [_part(parts[0], "app"), _part(parts[1], "fs")]
        super().__init__(digest, product, version, chip, security, parts)


def _part(fields, name):
    """What `layout.Part` takes, of one entry of the manifest."""
    if type(fields) is not dict:
        raise ReleaseError("the manifest is wrong: parts")
    if fields.get("name") != name:
        raise ReleaseError('the manifest is wrong: the parts must be "app", then "fs"')
    size = _integer(fields, "size", 1, MAX_PART_SIZE)
    if size % (BLOCK_SIZE if name == "fs" else 16):
        raise ReleaseError("the manifest is wrong: size of %s" % name)
    sha256 = binascii.unhexlify(_text(fields, "sha256", 64, 64, _HEX))
    encoding = fields.get("encoding")
    blocks = encoding == REUSING and (name != "fs" or size > REUSING_LIMIT)
    if blocks or (encoding is not None and encoding not in ENCODINGS):
        raise ReleaseError("part %s is encoded in a way this program doesn't know: it is too old" % name)
    return name, size, sha256, encoding, _integer(fields, "stored", 1, size) if encoding else size


def parse(header):
    """The manifest in `header` (4096 bytes of any kind of buffer); signed or not."""
    if len(header) != HEADER_SIZE or bytes(header[: len(MAGIC)]) != MAGIC:
        raise ReleaseError("not a release: its header isn't there")
    size = struct.unpack_from("<H", header, len(MAGIC))[0]
    if size > MAX_MANIFEST_SIZE:
        raise ReleaseError("the release's header is damaged: size of the manifest")
    text = memoryview(header)[MANIFEST_OFFSET : MANIFEST_OFFSET + size]
    try:
        fields = jsontext.loads(text)
    except ValueError as error:
        raise ReleaseError("the manifest is wrong: %s" % error) from None
    if type(fields) is not dict:
        raise ReleaseError("the manifest is wrong: not an object")
    return Manifest(fields, digest(header))


def digest(header):
    """The release's identity: SHA-256 of its header, in hex."""
    return str(binascii.hexlify(hashlib.sha256(header).digest()), "ascii")


def key_id(modulus):
    """Name of a public key (its 384-byte big-endian modulus) in manifests and in `trust`."""
    return str(binascii.hexlify(hashlib.sha256(modulus).digest()[:8]), "ascii")


def is_signed(header):
    """Whether there is a signature at all, right or wrong."""
    return bytes(header[SIGNATURE_OFFSET:]) != b"\xff" * SIGNATURE_SIZE


def verify(header, keys):
    """The manifest in `header` if one of `keys` ({id: modulus}) signed it; else ReleaseError says what is wrong."""
    manifest = parse(header)
    if not is_signed(header):
        raise ReleaseError("the release isn't signed")
    if manifest.key not in keys:
        name = manifest.key or "unnamed"
        raise ReleaseError("the release is signed with a key that isn't trusted here (%s)" % name)
    if len(keys[manifest.key]) != SIGNATURE_SIZE:
        raise ReleaseError("the trusted key %s is damaged" % manifest.key)
    if not _pss_verify(keys[manifest.key], header):
        raise ReleaseError("the release's signature is wrong: it was changed or damaged after signing")
    return manifest


def check(manifest, product, chip, slot_size, security=0):
    """ReleaseError if the release isn't for this product and chip, doesn't fit the slot or has a lower security."""
    if manifest.product != product:
        raise ReleaseError("the release is for another product: %s, not %s" % (manifest.product, product))
    if manifest.chip != chip:
        raise ReleaseError("the release is for another chip: %s, not %s" % (manifest.chip, chip))
    if manifest.slot_size > slot_size:
        raise ReleaseError("the release needs a slot of %d bytes, there are %d" % (manifest.slot_size, slot_size))
    if manifest.security < security:
        raise ReleaseError("the release has security version %d, older than %d" % (manifest.security, security))


def _integer(fields, name, low, high):
    value = fields.get(name)  # type(): a bool is no number here
    if type(value) is not int or not low <= value <= high:
        raise ReleaseError("the manifest is wrong: %s" % name)
    return value


def _text(fields, name, shortest, longest, alphabet):
    value = fields.get(name)
    if type(value) is not str or not shortest <= len(value) <= longest:
        raise ReleaseError("the manifest is wrong: %s" % name)
    for letter in value:
        if letter not in alphabet:
            raise ReleaseError("the manifest is wrong: %s" % name)
    return value


def _time(fields, name):
    """A UTC time like 2026-11-21T20:13:18Z; such texts compare like the times that they are."""
    value = _text(fields, name, 20, 20, "0123456789-:TZ")
    for position, form in enumerate("dddd-dd-ddTdd:dd:ddZ"):
        if value[position] != form and (form != "d" or value[position] not in "0123456789"):
            raise ReleaseError("the manifest is wrong: %s" % name)
    for position, low, high in ((5, 1, 12), (8, 1, 31), (11, 0, 23), (14, 0, 59), (17, 0, 59)):
        if not low <= int(value[position : position + 2]) <= high:
            raise ReleaseError("the manifest is wrong: %s" % name)
    return value


def _pss_verify(modulus, header):
    """EMSA-PSS-VERIFY of RFC 8017 9.1.2 for 3072 bits, SHA-256 and 32 bytes of salt."""
    number, signature = int.from_bytes(modulus, "big"), int.from_bytes(bytes(header[SIGNATURE_OFFSET:]), "big")
    if signature >= number:
        return False
    encoded = bytearray(pow(signature, 65537, number).to_bytes(SIGNATURE_SIZE, "big"))
    mask_end = SIGNATURE_SIZE - 33
    expected = bytes(encoded[mask_end:-1])
    if encoded[-1] != 0xBC or encoded[0] & 0x80:
        return False
    for start in range(0, mask_end, 32):
        mask = hashlib.sha256(expected + struct.pack(">I", start // 32)).digest()
        for i in range(start, min(start + 32, mask_end)):
            encoded[i] ^= mask[i - start]
    encoded[0] &= 0x7F
    padding = mask_end - 33
    if any(encoded[:padding]) or encoded[padding] != 1:
        return False
    content = hashlib.sha256(memoryview(header)[:SIGNATURE_OFFSET]).digest()
    return hashlib.sha256(bytes(8) + content + bytes(encoded[padding + 1 : mask_end])).digest() == expected
