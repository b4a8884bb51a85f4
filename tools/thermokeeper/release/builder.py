"""Release files as bytes: header and parts put together, signed, and taken apart again with every check.

The form is keeper.release's; this module only writes what that one reads, and asks it whether it's right.
"""

import hashlib
import json
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from keeper import release
from keeper.errors import ReleaseError
from keeper.imaging import image
from thermokeeper.errors import ToolError
from thermokeeper.files import read_bytes
from thermokeeper.release import compression, keys, secureboot
from thermokeeper.release.firmware import reader

# A device that knows only the first would look for the header where the signature sector is. So the manifest says it:
# it refuses before it erases anything.
_FORMAT, _FORMAT_SIGNED_APP = 1, 2


@dataclass(frozen=True)
class ReleaseFile:
    """A release file that was checked: form, sizes, the hash of each part, the application image."""

    path: Path
    data: bytes
    header: bytes
    manifest: release.Manifest
    app: bytes
    fs: bytes

    @property
    def fields(self) -> dict[str, Any]:
        """The manifest as it stands in the header."""
        return manifest_fields(self.header)

    @property
    def signed(self) -> bool:
        """Whether there is a signature, right or wrong."""
        return bool(release.is_signed(self.header))

    def slot(self) -> bytes:
        """The release as it lies in a slot: application, padding, header, file system."""
        return self.app.ljust(self.manifest.header_offset, b"\xff") + self.header + self.fs


def build(
    app: bytes,
    fs: bytes,
    *,
    product: str,
    version: str,
    chip: str,
    security: int,
    created: str,
    expires: str | None = None,
    compressed: bool = False,
    trust: Iterable[str] = (),
) -> bytes:
    """An unsigned release file; `compressed`: parts that get smaller are stored so.

    app: the whole application, its signature sector for Secure Boot v2 included. trust: ids of the keys that it trusts;
    main.py leaves a release that doesn't start for no other one that trusts revoked keys only.
    """
    parts: list[dict[str, Any]] = []
    stored = b""
    for name, part in (("app", app), ("fs", fs)):
        parts.append({"name": name, "size": len(part), "sha256": hashlib.sha256(part).hexdigest()})
        encoding = compression.encoding_for(name, part)
        packed = compression.pack(part, encoding) if compressed else part
        if len(packed) < len(part):
            parts[-1] |= {"encoding": encoding, "stored": len(packed)}
            part = packed
        stored += part
    fields: dict[str, Any] = {
        "format": _FORMAT_SIGNED_APP if is_signed_app(app) else _FORMAT,
        "product": product,
        "version": version,
        "chip": chip,
        "security": security,
        "created": created,
    }
    if expires:
        fields["expires"] = expires
    if ids := sorted(trust):
        fields["trust"] = ids
    header = pack_header({**fields, "parts": parts})
    try:
        release.parse(header)
    except ReleaseError as error:
        raise ToolError(f"no release can be made of this: {error}") from None
    return header + stored


def is_signed_app(app: bytes) -> bool:
    """Whether an application is signed for Secure Boot v2."""
    try:
        return secureboot.is_signed(app, image.length(reader(app), len(app)))
    except ReleaseError:
        return False


def header_offset(slot: bytes) -> int:
    """Where in a slot's content a release's header is, if there is one; ReleaseError without an application."""
    end = image.length(reader(slot), len(slot))
    offset: int = -(-end // release.HEADER_SIZE) * release.HEADER_SIZE
    if slot[offset : offset + 5] != release.MAGIC[:5] and secureboot.is_signed(slot, end):
        offset += secureboot.SECTOR_SIZE
    return offset


def pack_header(fields: dict[str, Any], signature: bytes | None = None) -> bytes:
    """The 4096-byte header for a manifest."""
    text = json.dumps(fields, separators=(",", ":")).encode()
    if len(text) > release.MAX_MANIFEST_SIZE:
        raise ToolError(f"the manifest has {len(text)} bytes, {release.MAX_MANIFEST_SIZE} is the limit")
    head = release.MAGIC + struct.pack("<H", len(text)) + text
    return head.ljust(release.SIGNATURE_OFFSET, b"\xff") + (signature or b"\xff" * release.SIGNATURE_SIZE)


def manifest_fields(header: bytes) -> dict[str, Any]:
    """The manifest of a header that keeper.release.parse has accepted, unknown fields included."""
    size = struct.unpack_from("<H", header, len(release.MAGIC))[0]
    fields: dict[str, Any] = json.loads(header[release.MANIFEST_OFFSET : release.MANIFEST_OFFSET + size])
    return fields


def sign(data: bytes, key: rsa.RSAPrivateKey) -> bytes:
    """The release file `data` signed with `key`, in place of any other signature.

    A file that this key has signed already stays as it is: a new signature would make another release of it.
    """
    modulus = keys.modulus_of(key.public_key())
    name = release.key_id(modulus)
    header = data[: release.HEADER_SIZE]
    try:
        release.verify(header, {name: modulus})
        return data
    except ReleaseError:
        fields = manifest_fields(header)
    parts = fields.pop("parts")
    fields.pop("key", None)
    content = pack_header({**fields, "key": name, "parts": parts})[: release.SIGNATURE_OFFSET]
    header = content + keys.sign(key, content)
    try:
        release.verify(header, {name: modulus})
    except ReleaseError as error:
        raise ToolError(f"the signature that was made isn't accepted: {error}") from None
    return header + data[release.HEADER_SIZE :]


def read_release(path: Path) -> ReleaseFile:
    """Read a release file and check all of it but the signature; ToolError says what the file is instead."""
    data = read_bytes(path, "a release file made by `thermokeeper release build`")
    return parse_release(data, path)


def parse_release(data: bytes, path: Path) -> ReleaseFile:
    """The same for bytes; `path` is for messages."""
    if data[:1] == b"\xe9":
        raise ToolError(f"{path} is an ESP32 image, not a release file; make one with `thermokeeper release build`")
    header = data[: release.HEADER_SIZE]
    try:
        manifest = release.parse(header)
    except ReleaseError as error:
        raise ToolError(f"{path}: {error}") from None
    if len(data) != manifest.file_size:
        wrong = "cut off" if len(data) < manifest.file_size else "too long"
        raise ToolError(f"{path} is {wrong}: it has {len(data)} bytes, its manifest says {manifest.file_size}")
    app_end = release.HEADER_SIZE + manifest.app.stored
    app = _plain(manifest.app, data[release.HEADER_SIZE : app_end], path)
    fs = _plain(manifest.fs, data[app_end:], path)
    for part, content in ((manifest.app, app), (manifest.fs, fs)):
        if hashlib.sha256(content).digest() != part.sha256:
            raise ToolError(f"{path} is damaged: the hash of its part {part.name} is wrong")
    try:
        if secureboot.whole_end(app, image.check(reader(app), len(app), manifest.chip)) != len(app):
            raise ToolError("something follows the application image in its part app")
    except (ReleaseError, ToolError) as error:
        raise ToolError(f"{path}: {error}") from None
    return ReleaseFile(path, data, header, manifest, app, fs)


def _plain(part: release.Part, stored: bytes, path: Path) -> bytes:
    if not part.encoding:
        return stored
    try:
        return compression.unpack(stored, part.size, part.encoding)
    except ToolError as error:
        raise ToolError(f"{path}: part {part.name}: {error}") from None
