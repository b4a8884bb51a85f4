"""What Secure Boot v2 puts behind an application: a sector with signatures, which belongs to it in all respects.

The build pads the image itself to whole pages of flash (64 KiB, `esptool elf2image --secure-pad-v2`); the signature
sector begins where the image ends, and bootloader and ROM look for it there. Whose signature it is isn't asked here:
that is the bootloader's business.
"""

import contextlib
import hashlib
import io

import espsecure

from thermokeeper.errors import ToolError

SECTOR_SIZE = 4096
PAGE_SIZE = 0x10000
_MAGICS = (b"\xe7\x02", b"\xe7\x03")  # RSA, ECDSA


def is_signed(data: bytes, image_end: int) -> bool:
    """Whether a signature sector follows an image of `image_end` bytes at the start of `data`."""
    start = _sector(image_end)
    return data[start : start + 2] in _MAGICS


def whole_end(data: bytes, image_end: int) -> int:
    """Where the image ends with its signature sector, or `image_end` if it has none; ToolError if that is wrong."""
    if not is_signed(data, image_end):
        return image_end
    start = _sector(image_end)
    if start % PAGE_SIZE:
        raise ToolError(
            "the application is signed for Secure Boot v2, but wasn't padded to 64 KiB before; "
            "build it with CONFIG_SECURE_SIGNED_APPS (esptool elf2image --secure-pad-v2) and sign it again"
        )
    whole = data[: start + SECTOR_SIZE]
    if len(whole) < start + SECTOR_SIZE:
        raise ToolError("the application's signature sector is cut off")
    with contextlib.redirect_stdout(io.StringIO()):
        block = espsecure.validate_signature_block(whole, 0)
    digests = (hashlib.sha256(whole[:start]).digest(), hashlib.sha384(whole[:start]).digest())
    if block is None or not any(block[4:].startswith(digest) for digest in digests):
        raise ToolError("the application's signature for Secure Boot is damaged, or of another application")
    return start + SECTOR_SIZE


def _sector(image_end: int) -> int:
    return -(-image_end // SECTOR_SIZE) * SECTOR_SIZE
