# Thermokeeper boot.py, revision 5
"""Finds the release in the running slot and puts its Python code first on the path; nothing else.

It stays on the board for life and boots every release ever made, so it relies only on where a release lies in a slot:
application image, padded to 4 KiB, a 4 KiB header, then a LittleFS2 image of the size that the header gives. A sector
that begins with 0xE7 belongs to the application: it signs it for Secure Boot v2. The release can't be asked for help
with that: it isn't mounted yet. Its files are hashed before they are mounted: what rots in flash is no release, and
without one main.py runs all the same, says so, and in the end leaves the slot.

What a developer has deployed over a release runs in preference to it, but only over just that release.
"""

# One byte 0x03 on the line, a person's or a disturbance, would end this file, and main.py isn't run after that: a board
# at its prompt, without a watchdog, for as long as it has power. main.py takes the key again.
while True:
    try:
        import micropython

        micropython.kbd_intr(-1)
        break
    except KeyboardInterrupt:
        pass

import sys

# MicroPython looks for a file of the name, in each folder of the path, before it takes one of these from the firmware,
# and at each import again: 0.13 s every time, on the emulated board. As modules that are loaded they are just there.
_BUILT_IN = "array binascii errno hashlib io json machine os random select socket struct time"
for _name in _BUILT_IN.split():
    if _name not in sys.modules:
        try:
            sys.modules[_name] = __import__("u" + _name)
        except ImportError:
            pass  # another port: it is found as ever

import binascii
import hashlib
import json
import struct

import vfs
from esp32 import Partition

# What LittleFS reads at once, and how many of such reads are kept. A read of flash takes 3 ms on the emulated board,
# and an import has some fifty, most of the same few places: with these sizes it takes half of what it took.
_READ_SIZE = 128
_KEPT = 8


class _ReleaseFiles:
    """Read-only block device over the part of a slot that holds the release's file system."""

    def __init__(self, slot, offset, size):
        self._slot = slot
        self._first = offset // 4096
        self._count = size // 4096
        self._kept = memoryview(bytearray(_READ_SIZE * _KEPT))
        self._places = [-1] * _KEPT
        self._next = 0

    def readblocks(self, block, buffer, offset=0):
        if len(buffer) != _READ_SIZE:  # a file's content, which isn't asked for twice
            self._slot.readblocks(self._first + block, buffer, offset)
            return
        place = block * 4096 + offset
        if place in self._places:
            start = self._places.index(place) * _READ_SIZE
            buffer[:] = self._kept[start : start + _READ_SIZE]
            return
        self._slot.readblocks(self._first + block, buffer, offset)
        start = self._next * _READ_SIZE
        self._kept[start : start + _READ_SIZE] = buffer
        self._places[self._next] = place
        self._next = (self._next + 1) % _KEPT

    def ioctl(self, operation, _):
        return {4: self._count, 5: 4096}.get(operation, 0)


def release_in(slot):
    """(manifest, offset of the header, header) of the release in a slot; ValueError if there is none."""
    limit = slot.info()[3]
    head = bytearray(24)
    slot.readblocks(0, head, 0)
    end = 24
    for _ in range(head[1]):
        segment = memoryview(head)[:8]
        slot.readblocks(end // 4096, segment, end % 4096)
        end += 8 + struct.unpack("<II", segment)[1]
        if end > limit:
            raise ValueError("no application image")
    slot.readblocks(0, head, 0)
    end = ((end + 16) & ~15) + 32 * head[23]
    offset = (end + 4095) // 4096 * 4096
    header = bytearray(4096)
    slot.readblocks(offset // 4096, header, 0)
    if header[0] == 0xE7:
        offset += 4096
        slot.readblocks(offset // 4096, header, 0)
    if header[:5] != b"TKREL":
        raise ValueError("no release behind the application")
    manifest = header[10 : 10 + min(struct.unpack_from("<H", header, 8)[0], 4086)]
    return json.loads(manifest), offset, header


def _mount_release():
    slot = Partition(Partition.RUNNING)
    manifest, offset, header = release_in(slot)
    part = [part for part in manifest["parts"] if part["name"] == "fs"][0]
    size = part["size"]
    if "sha256" in part:
        _check_files(slot, offset // 4096 + 1, size // 4096, part["sha256"])
    files = _ReleaseFiles(slot, offset + 4096, size)
    # the stubs don't know that any object with the two methods is a block device
    mounted = vfs.VfsLfs2(files, readsize=_READ_SIZE, progsize=_READ_SIZE, lookahead=32)  # type: ignore
    vfs.mount(mounted, "/release", readonly=True)
    sys.path.insert(0, "/release")
    return hashlib.sha256(header).digest()


def _check_files(slot, first, count, wanted):
    digest = hashlib.sha256()
    block = bytearray(4096)
    for number in range(first, first + count):
        slot.readblocks(number, block)
        digest.update(block)
    if binascii.hexlify(digest.digest()).decode() != wanted:
        raise ValueError("its files are damaged")


def _run_deployed():
    try:
        with open("/deployed/over", "rb") as file:
            over = file.read()
    except OSError:
        return
    if over != running_release:
        print("tk: boot: what was deployed is for another release and left aside; this runs the release's own files")
        return
    with open("/deployed/start.py") as file:
        exec(file.read(), globals())


running_release = None  # `thermokeeper deploy` asks for it
try:
    running_release = _mount_release()
except Exception as error:  # main.py isn't run after a boot.py that failed, and nothing would end a trial then
    print("tk: boot: no release in the running slot: %s" % error)
if __name__ == "__main__":  # else this is a boot.py that was deployed itself
    try:
        _run_deployed()
    except Exception as error:
        print("tk: boot: what was deployed doesn't start: %s" % error)
    # This code is done, and would lie in memory for as long as the board lives. `release_in` is main.py's to forget.
    del _mount_release, _check_files, _run_deployed
