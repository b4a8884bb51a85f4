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

from . import jsontext
from .errors import ReleaseError

HEADER_SIZE = BLOCK_SIZE = 4096
MAGIC = b"TKREL001"
FORMAT = 1
MANIFEST_OFFSET = 10
SIGNATURE_OFFSET = 3712
SIGNATURE_SIZE = 384
MAX_MANIFEST_SIZE = SIGNATURE_OFFSET - MANIFEST_OFFSET
MAX_PART_SIZE = 16 << 20
MAX_TEXT = 32
MAX_SECURITY = 0x7FFFFFFF

_HEX = "0123456789abcdef"
_TOKEN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-"


class Part:
    """One part: `name`, `size` in the slot and the `sha256` of that; `stored` bytes in the file, `encoding` or None."""

    def __init__(self, fields, name):
        if type(fields) is not dict:
            raise ReleaseError("the manifest is wrong: parts")
        if fields.get("name") != name:
            raise ReleaseError('the manifest is wrong: the parts must be "app", then "fs"')
        self.name = name
        self.size = _integer(fields, "size", 1, MAX_PART_SIZE)
        if self.size % (BLOCK_SIZE if name == "fs" else 16):
            raise ReleaseError(f"the manifest is wrong: size of {name}")
        self.sha256 = binascii.unhexlify(_text(fields, "sha256", 64, 64, _HEX))
        self.encoding = fields.get("encoding")
        if self.encoding is None:
            self.stored = self.size
        elif self.encoding == "deflate":
            self.stored = _integer(fields, "stored", 1, self.size)
        else:
            raise ReleaseError(f"part {name} is encoded in a way this program doesn't know: it is too old")


class Manifest:
    """What a header says, checked field by field, and what follows from it (all sizes and offsets in bytes).

    `header_offset` and `fs_offset` are where header and fs go in a slot, of which the release takes `slot_size`;
    `file_size` is the length of the release file, `digest` the release's identity (SHA-256 of the header, hex).
    """

    def __init__(self, fields, digest):
        found = _integer(fields, "format", 1, 1 << 30)
        if found > FORMAT:
            raise ReleaseError(f"the release has format {found}, newer than this program knows ({FORMAT})")
        self.product = _text(fields, "product", 1, MAX_TEXT, _TOKEN)
        self.version = _text(fields, "version", 1, MAX_TEXT, _TOKEN)
        self.chip = _text(fields, "chip", 1, MAX_TEXT, _TOKEN)
        self.security = _integer(fields, "security", 0, MAX_SECURITY)
        self.created = _time(fields, "created")
        self.expires = _time(fields, "expires") if "expires" in fields else None
        self.key = _text(fields, "key", 16, 16, _HEX) if "key" in fields else ""
        parts = fields.get("parts")
        if type(parts) is not list or len(parts) != 2:
            raise ReleaseError('the manifest is wrong: the parts must be "app", then "fs"')
        self.app = Part(parts[0], "app")
        self.fs = Part(parts[1], "fs")
        self.parts = [self.app, self.fs]
        self.header_offset = (self.app.size + BLOCK_SIZE - 1) // BLOCK_SIZE * BLOCK_SIZE
        self.fs_offset = self.header_offset + HEADER_SIZE
        self.slot_size = self.fs_offset + self.fs.size
        self.file_size = HEADER_SIZE + self.app.stored + self.fs.stored
        self.digest = digest

    def slot_offset(self, part):
        """Where a part lies in a slot."""
        return self.fs_offset if part is self.fs else 0


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
        raise ReleaseError(f"the manifest is wrong: {error}") from None
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
        raise ReleaseError(f"the release is signed with a key that isn't trusted here ({manifest.key or 'unnamed'})")
    if len(keys[manifest.key]) != SIGNATURE_SIZE:
        raise ReleaseError(f"the trusted key {manifest.key} is damaged")
    if not _pss_verify(keys[manifest.key], header):
        raise ReleaseError("the release's signature is wrong: it was changed or damaged after signing")
    return manifest


def check(manifest, product, chip, slot_size, security=0):
    """ReleaseError if the release isn't for this product and chip, doesn't fit the slot or has a lower security."""
    if manifest.product != product:
        raise ReleaseError(f"the release is for another product: {manifest.product}, not {product}")
    if manifest.chip != chip:
        raise ReleaseError(f"the release is for another chip: {manifest.chip}, not {chip}")
    if manifest.slot_size > slot_size:
        raise ReleaseError(f"the release needs a slot of {manifest.slot_size} bytes, there are {slot_size}")
    if manifest.security < security:
        raise ReleaseError(f"the release has security version {manifest.security}, older than {security}")


def _integer(fields, name, low, high):
    value = fields.get(name)  # type(): a bool is no number here
    if type(value) is not int or not low <= value <= high:
        raise ReleaseError(f"the manifest is wrong: {name}")
    return value


def _text(fields, name, shortest, longest, alphabet):
    value = fields.get(name)
    if type(value) is not str or not shortest <= len(value) <= longest:
        raise ReleaseError(f"the manifest is wrong: {name}")
    for letter in value:
        if letter not in alphabet:
            raise ReleaseError(f"the manifest is wrong: {name}")
    return value


def _time(fields, name):
    """A UTC time like 2026-11-21T20:13:18Z; such texts compare like the times that they are."""
    value = _text(fields, name, 20, 20, "0123456789-:TZ")
    for position, form in enumerate("dddd-dd-ddTdd:dd:ddZ"):
        if value[position] != form and (form != "d" or value[position] not in "0123456789"):
            raise ReleaseError(f"the manifest is wrong: {name}")
    for position, low, high in ((5, 1, 12), (8, 1, 31), (11, 0, 23), (14, 0, 59), (17, 0, 59)):
        if not low <= int(value[position : position + 2]) <= high:
            raise ReleaseError(f"the manifest is wrong: {name}")
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
