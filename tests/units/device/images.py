"""Small ESP32 images that are right in every byte that a bootloader or esptool checks; for tests on both runtimes."""

import binascii
import hashlib
import struct

DESCRIPTION_MAGIC = 0xABCD5432


def image(segments, chip_id=0, with_hash=True):
    """An image of `segments`: (load address, data) each."""
    head = struct.pack("<BBBBIB3xH9xB", 0xE9, len(segments), 2, 0x20, 0x40080000, 0xEE, chip_id, 1 if with_hash else 0)
    body = bytearray(head)
    checksum = 0xEF
    for address, data in segments:
        body.extend(struct.pack("<II", address, len(data)))
        body.extend(data)
        for value in data:
            checksum ^= value
    body.extend(bytes(15 - len(body) % 16))
    body.append(checksum)
    if with_hash:
        body.extend(hashlib.sha256(body).digest())
    return bytes(body)


def application(size=20000, chip_id=0, version="1.25.0", fill=0x5A, with_hash=True):
    """An application image of about `size` bytes, which says that it is MicroPython `version`."""
    about = "MicroPython v" + version + " on 2025-04-15; a board of the tests"
    text = struct.pack("<II8x32s32s", DESCRIPTION_MAGIC, 0, version.encode(), b"micropython")
    text += bytes(256 - len(text)) + about.encode()
    text += bytes(-len(text) % 4)
    code = bytes([fill]) * (max(size - len(text) - 128, 64) & ~3)
    return image([(0x3F400020, text), (0x40080000, code)], chip_id, with_hash)


def bootloader(chip_id=0, rollback=True):
    """A bootloader image; of its code nothing but what ESP-IDF's writes to otadata, on the stack."""
    stored = [(2, 24)] + ([(4, 24), (4, 56)] if rollback else [])  # VALID; twice ABORTED
    code = b"".join([store(chip_id, value, offset) for value, offset in stored])
    return image(
        [(0x3FFF0018, b"boot" * 8), (0x40078000, bytes(range(256)) * 8 + code + bytes(-len(code) % 4))], chip_id
    )


def store(chip_id, value, offset):
    """Two instructions of the chip that load a constant and store it at an offset from the stack pointer."""
    if chip_id in (0, 2, 9):  # Xtensa: movi.n a8, value; s32i a8, a1, offset
        return bytes([0x0C, value << 4 | 8, 0x82, 0x61, offset // 4])
    # c.li a5, value; c.swsp a5, offset
    return struct.pack("<HH", 0x4001 | 15 << 7 | value << 2, 0xC002 | offset // 4 << 9 | 15 << 2)


def padded_application(pages=1, chip_id=0):
    """An application that ends on 64 KiB, as `esptool elf2image --secure-pad-v2` makes it."""
    return application(0x10000 * pages + 40, chip_id)


def signature_sector(app):
    """What Secure Boot v2 has behind a padded application: right in form, and nobody's signature."""
    block = b"\xe7\x02\0\0" + hashlib.sha256(app).digest() + b"\x5a" * 1160
    block += struct.pack("<I", binascii.crc32(block)) + bytes(16)
    return block + b"\xff" * (4096 - len(block))


def partition_table(rows):
    """A binary partition table with its MD5; rows are (label, type, subtype, offset, size)."""
    data = b""
    for label, kind, subtype, offset, size in rows:
        data += struct.pack("<2sBBII16sI", b"\xaa\x50", kind, subtype, offset, size, label.encode(), 0)
    data += b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(data).digest()
    return data + b"\xff" * (4096 - len(data))


def whole_firmware(app, chip_id=0, start=0x1000, rollback=True):
    """A firmware file as it is published: bootloader first, to be written at `start`, the application at 0x10000."""
    stock = [("nvs", 1, 2, 0x9000, 0x6000), ("factory", 0, 0, 0x10000, 0x180000), ("vfs", 1, 0x81, 0x200000, 0x200000)]
    data = bytearray(bootloader(chip_id, rollback))
    data.extend(b"\xff" * (0x8000 - start - len(data)))
    data.extend(partition_table(stock))
    data.extend(b"\xff" * 0x7000)
    data.extend(app)
    return bytes(data)
