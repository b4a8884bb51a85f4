"""Puts a release from a stream into the other slot, as one transaction: until the caller selects it, nothing happened.

Everything is decided on the signed manifest before a byte is erased. The parts are hashed as they arrive and once
more as they lie in flash; the header, without which a slot is no release, is written last. It knows slots and
releases; where the stream comes from and what happens after it is the life cycle's.
"""

import gc
from hashlib import sha256

from keeper import image, release
from keeper.errors import NetError, ReleaseError, SlotError
from keeper.slots import BLOCK


class Installer:
    """Installs releases that one of `keys` signed, for this product and the chip that the running slot is made for.

    keys: {key id: 384-byte modulus}, see `release.verify`. pulse: called at least once for every block.
    progress: called with (bytes done, bytes in all) of the release file after each block.
    """

    def __init__(self, slots, keys, product, pulse, progress=None):
        self._slots = slots
        self._keys = keys
        self._product = product
        self._pulse = pulse
        self._progress = progress
        self._head = bytearray(release.HEADER_SIZE)
        self._block = bytearray(BLOCK)
        self._view = memoryview(self._block)

    def manifest_in(self, slot):
        """Manifest of the release in a slot, or None without one. Its signature was checked when it was installed."""
        offset = slot.header_offset()
        if offset is None:
            return None
        slot.read(offset, self._block)
        try:
            return release.parse(self._block)
        except ReleaseError:
            return None

    def read_header(self, stream):
        """Read a release's header from the stream and decide on it: the Manifest, or ReleaseError with the reason."""
        self._fill(stream, memoryview(self._head), release.HEADER_SIZE)
        gc.collect()  # the signature's big numbers want room
        manifest = release.verify(self._head, self._keys)
        head = bytearray(image.HEADER_SIZE)
        self._slots.running.read(0, head)
        release.check(manifest, self._product, image.chip_of(head), self._slots.other.size)
        for part in manifest.parts:
            if part.encoding:
                raise ReleaseError("part %s is encoded: this program takes none that is" % part.name)
        if stream.size not in (None, manifest.file_size):
            raise ReleaseError("the release has %d bytes, its manifest says %d" % (stream.size, manifest.file_size))
        return manifest

    def install(self, stream, manifest):
        """Write the parts that follow the header in the stream, check them in flash, write the header.

        Raises NetError (the stream ended or stalled), ReleaseError (not what the manifest says), SlotError (flash).
        After it returns, `Slots.select` makes the release the next to boot.
        """
        other = self._slots.other
        self._slots.guard_write()
        self._unmake(other)
        done, total = release.HEADER_SIZE, manifest.file_size
        self._write(stream, manifest.app, 0, done, total)
        self._check_application(manifest)
        self._write(stream, manifest.fs, manifest.fs_offset, done + manifest.app.size, total)
        self._check_in_flash(manifest.app, 0)
        self._check_in_flash(manifest.fs, manifest.fs_offset)
        other.write(manifest.header_offset, self._head)
        other.read(manifest.header_offset, self._block)
        if self._block != self._head:
            raise SlotError("%s doesn't hold what was written: its flash is worn" % other.label)

    def _unmake(self, slot):
        # An older release there loses its header first: from now on until the end nothing takes the slot for one.
        offset = slot.header_offset()
        if offset is not None:
            slot.erase(offset)

    def _write(self, stream, part, offset, done, total):
        digest = sha256()
        left = part.size
        view = self._view
        while left:
            size = BLOCK if left > BLOCK else left
            self._fill(stream, view, size)
            digest.update(view if size == BLOCK else view[:size])
            for i in range(size, BLOCK):
                view[i] = 0xFF
            self._slots.other.write(offset, view)
            offset += BLOCK
            left -= size
            done += size
            self._pulse()
            if self._progress:
                self._progress(done, total)
        if digest.digest() != part.sha256:
            raise ReleaseError("part %s isn't what the manifest says (SHA-256 differs): not installed" % part.name)

    def _check_in_flash(self, part, offset):
        digest = sha256()
        left = part.size
        view = self._view
        while left:
            size = BLOCK if left > BLOCK else left
            piece = view if size == BLOCK else view[:size]
            self._slots.other.read(offset, piece)
            digest.update(piece)
            offset += size
            left -= size
            self._pulse()
        if digest.digest() != part.sha256:
            raise SlotError("%s doesn't hold what was written: its flash is worn" % self._slots.other.label)

    def _check_application(self, manifest):
        size = image.check(self._slots.other.read, self._slots.other.size, manifest.chip)
        if size != manifest.app.size:
            raise ReleaseError("application image has %d bytes, its manifest says %d" % (size, manifest.app.size))

    def _fill(self, stream, view, size):
        """Read exactly `size` bytes into the view."""
        position = 0
        while position < size:
            count = stream.readinto(view[position:size])
            if not count:
                raise NetError("the release ended after a part of it: it will be fetched again")
            position += count
