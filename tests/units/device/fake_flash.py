"""Flash contents for tests of keeper, and a bootloader that decides what boots from them.

Written from the specifications, not from the code under test; runs on CPython and MicroPython.
"""

import binascii
import json
import struct

import esp32
from _simota import valid_image

from keeper.factory.identity import checked
from support_flash import otadata_entry

SERIAL = "THERM00000000000001"
BLOCK = 4096
OTADATA = 0xD000
SLOTS = {"ota_0": 0x10000, "ota_1": 0x20000}
SLOT_SIZE = 0x10000
NEW, PENDING, VALID, INVALID, ABORTED, UNDEFINED = 0, 1, 2, 3, 4, 0xFFFFFFFF


def factory_record(**changes):
    """A factory record's bytes; a member that is given None is left out."""
    members = {"serial": SERIAL, "product": "thermometer", "service": "gadgetkeeper"}
    members["server"] = "http://127.0.0.1:8000"
    members["plain_http"] = True
    for name, value in changes.items():
        if value is None:
            members.pop(name)
        else:
            members[name] = value
    return sealed_record(json.dumps(members).encode())


def sealed_record(text):
    """A factory record around any text, with the right length and checksum."""
    data = b"TKFACT01" + struct.pack("<H", len(text)) + text
    return data + struct.pack("<I", binascii.crc32(data))


def identity(**changes):
    """An Identity without a flash."""
    data = factory_record(**changes)
    return checked(json.loads(data[10:-4]))


def slot_content(app, header, fs):
    """A release as it lies in a slot."""
    return app + b"\xff" * (-len(app) % BLOCK) + header + fs


def otadata(*entries):
    """Flash parts for up to two otadata entries, each (sequence, state) or None for a blank sector."""
    parts = []
    for sector, entry in enumerate(entries):
        if entry is not None:
            parts.append((OTADATA + sector * BLOCK, otadata_entry(*entry)))
    return parts


def flash_bytes(path, address, size):
    """What lies in a flash file."""
    with open(path, "rb") as file:
        file.seek(address)
        return file.read(size)


def fill_nvs(namespace="filler"):
    """Fill NVS with another program's blobs until not even a small one fits."""
    nvs = esp32.NVS(namespace)
    number = 0
    for size in (1000, 100, 1):
        while True:
            try:
                nvs.set_blob("b%d" % number, b"x" * size)
            except OSError as error:
                assert error.args[0] == -4357, error
                break
            number += 1


def boot(path):
    """Decide as ESP-IDF's bootloader does which slot runs, change otadata as it does, and return the slot's label."""
    with open(path, "r+b") as file:
        entries = []
        for sector in (0, 1):
            file.seek(OTADATA + sector * BLOCK)
            raw = file.read(32)
            sequence = struct.unpack("<I", raw[:4])[0]
            state, checksum = struct.unpack("<II", raw[24:])
            if state == PENDING:  # its one trial is over
                state = ABORTED
                _write_state(file, sector, state)
            if checksum == binascii.crc32(raw[:4], UNDEFINED) and sequence != UNDEFINED and state not in (3, 4):
                entries.append((sequence, state, sector))
        if entries:
            sequence, state, sector = max(entries)
            labels = ["ota_%d" % ((sequence - 1) % 2)]
            if state == NEW:
                _write_state(file, sector, PENDING)
        else:
            labels = ["ota_0"]
        labels.append("ota_1" if labels[0] == "ota_0" else "ota_0")
        for label in labels:
            if _is_application(file, SLOTS[label]):
                return label
    raise AssertionError("no slot can be booted: the board is bricked")


def _write_state(file, sector, state):
    file.seek(OTADATA + sector * BLOCK + 24)
    file.write(struct.pack("<I", state))


def _is_application(file, address):
    def read(at, buffer):
        file.seek(at)
        file.readinto(buffer)

    return valid_image(read, address, SLOT_SIZE)
