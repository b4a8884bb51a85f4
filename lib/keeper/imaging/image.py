"""An ESP32 application image, as the bootloader sees it: how long it is, which chip it is for, whether it is one.

Everything is asked through `read(offset, buf)`, which fills `buf` from that offset of the image or raises a
KeeperError, so the image can be in a slot, a file or a buffer. This module must not know which, and knows no release.

Form (ESP-IDF `esp_app_format.h`, little endian): 24-byte header (magic 0xE9, number of segments at byte 1, chip id
u16 at 12, byte 23: a hash follows), for each segment u32 load address, u32 length and the data, padding to 16
whose last byte is a checksum, then 32 bytes of SHA-256 if byte 23 is 1.
"""

import struct

from keeper.errors import ReleaseError

HEADER_SIZE = 24
MAX_SEGMENTS = 16

CHIPS = {
    0: "esp32",
    2: "esp32s2",
    5: "esp32c3",
    9: "esp32s3",
    12: "esp32c2",
    13: "esp32c6",
    16: "esp32h2",
    18: "esp32p4",
    20: "esp32c61",
    23: "esp32c5",
}

SECTOR_SIZE = 4096

_MAGIC = 0xE9
_SIGNATURE_MAGIC = 0xE7  # ets_secure_boot_sig_block of ESP-IDF
# Where the partition table (flash 0x8000) is in a merged file, which begins with the bootloader: at flash 0 on most
# chips, 0x1000 on the ESP32 and ESP32-S2, 0x2000 on the ESP32-P4 and -C5.
_TABLE_OFFSETS = (0x6000, 0x7000, 0x8000)


def chip_of(header):
    """The name of the chip that an image with this 24-byte header is for."""
    _check_header(header)
    number = header[12] | header[13] << 8
    if number not in CHIPS:
        raise ReleaseError("the image is for an unknown chip (id %d)" % number)
    return CHIPS[number]


def length(read, limit=16 << 20):
    """Exact length of the image in bytes, from its segment headers; ReleaseError if it isn't one or ends after `limit`.

    Reads only headers, never at or after `limit`.
    """
    header = bytearray(HEADER_SIZE)
    if limit < HEADER_SIZE:
        raise _too_large(limit)
    read(0, header)
    _check_header(header)
    segment = bytearray(8)
    end = HEADER_SIZE
    for _ in range(header[1]):
        if end + 8 > limit:
            raise _too_large(limit)
        read(end, segment)
        size = struct.unpack_from("<I", segment, 4)[0]
        if size & 3:
            raise ReleaseError("not an ESP32 application image: a segment has an odd length")
        end += 8 + size
        if end > limit:
            raise _too_large(limit)
    end = (end + 16) & ~15
    if header[23]:
        end += 32
    if end > limit:
        raise _too_large(limit)
    return end


def whole_length(read, end, limit):
    """`end` of an image, or that of the signature sector that Secure Boot v2 puts behind it."""
    sector = (end + SECTOR_SIZE - 1) // SECTOR_SIZE * SECTOR_SIZE
    mark = bytearray(1)
    if sector + SECTOR_SIZE <= limit:
        read(sector, mark)
        if mark[0] == _SIGNATURE_MAGIC:
            return sector + SECTOR_SIZE
    return end


def check(read, limit, chip):
    """Length of the image if it is an application for `chip` of at most `limit` bytes; else ReleaseError says why."""
    header = bytearray(HEADER_SIZE)
    if limit < HEADER_SIZE:
        raise _too_large(limit)
    read(0, header)
    found = chip_of(header)
    if found != chip:
        raise ReleaseError("the image is for another chip: %s, not %s" % (found, chip))
    end = length(read, limit)
    if table_offset(read, end, limit) is not None:
        raise ReleaseError("this is a whole flash image (it begins with a bootloader), not an application image")
    return end


def table_offset(read, end, limit):
    """Offset of the partition table behind an image of `end` bytes that is a bootloader; None if it isn't.

    An application this small could only be taken for a bootloader if a table's first entry followed it.
    """
    entry = bytearray(3)
    for offset in _TABLE_OFFSETS:
        if end <= offset and offset + 3 <= limit:
            read(offset, entry)
            if entry[0] == 0xAA and entry[1] == 0x50 and entry[2] <= 1:
                return offset
    return None


def _check_header(header):
    if header[0] != _MAGIC or not 1 <= header[1] <= MAX_SEGMENTS or header[23] > 1:
        raise ReleaseError("not an ESP32 application image")


def _too_large(limit):
    return ReleaseError("the image is larger than the %d bytes there are for it" % limit)
