"""Small ESP32 images that are right in every byte that a bootloader or esptool checks; for tests on both runtimes."""

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


def bootloader(chip_id=0):
    """A bootloader image; nothing that could run."""
    return image([(0x3FFF0018, b"boot" * 8), (0x40078000, bytes(range(256)) * 8)], chip_id)


def partition_table(rows):
    """A binary partition table with its MD5; rows are (label, type, subtype, offset, size)."""
    data = b""
    for label, kind, subtype, offset, size in rows:
        data += struct.pack("<2sBBII16sI", b"\xaa\x50", kind, subtype, offset, size, label.encode(), 0)
    data += b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(data).digest()
    return data + b"\xff" * (4096 - len(data))


def whole_firmware(app, chip_id=0, start=0x1000):
    """A firmware file as it is published: bootloader first, to be written at `start`, the application at 0x10000."""
    stock = [("nvs", 1, 2, 0x9000, 0x6000), ("factory", 0, 0, 0x10000, 0x180000), ("vfs", 1, 0x81, 0x200000, 0x200000)]
    data = bytearray(bootloader(chip_id))
    data.extend(b"\xff" * (0x8000 - start - len(data)))
    data.extend(partition_table(stock))
    data.extend(b"\xff" * 0x7000)
    data.extend(app)
    return bytes(data)
