"""Puts a release into the other slot, as one transaction: until the caller selects it, nothing has happened.

What is installed was admitted on its signed header before. A part that the running slot has is copied from there. The
parts are hashed as they arrive and once more as they lie in flash; the header, without which a slot is no release, is
fetched again and written last. An installation that was cut goes on at its checkpoint. It knows slots and how releases
lie in them; where the download comes from and what happens after it is the life cycle's.
"""

import binascii
from hashlib import sha256

from keeper.board.layout import HEADER_SIZE
from keeper.board.slots import BLOCK
from keeper.console import say
from keeper.errors import NetError, ReleaseError, SlotError
from keeper.phases import forget
from keeper.updating.checkpoint import is_possible
from keeper.updating.encoded import opened


class Installer:
    """slots: `slots.Slots`; checkpoint: `checkpoint.Checkpoint`.

    pulse: called at least once for every block. progress: called with (bytes done, bytes in all) of what goes into
    the slot, after each block.
    """

    def __init__(self, slots, checkpoint, pulse, progress=None):
        self._slots = slots
        self._checkpoint = checkpoint
        self._pulse = pulse
        self._progress = progress
        self._view = memoryview(bytearray(BLOCK))  # the one block through which everything goes

    def install(self, download, manifest, have=None):
        """Bring the parts of a release into the other slot, check them, write the header.

        manifest: the release's Layout; have: that of the one that runs, or None. Raises NetError (the download ended or
        stalled; the next call goes on from there), ReleaseError (not what the manifest says), SlotError (flash). After
        it returns, `Slots.select` makes the release the next to boot.
        """
        self._slots.guard_write()
        if self._is_there(manifest):
            self._checkpoint.clear()  # the power went before it was
            return
        first, size, place = self._begin(download, manifest)
        at = HEADER_SIZE
        try:
            for number, part in enumerate(manifest.parts):
                if number == first:
                    self._bring(download, manifest, number, at, have, size, place)
                elif number > first:
                    self._bring(download, manifest, number, at, have, 0, at)
                at += part.stored
                if part is manifest.app:
                    self._check_application(manifest)
            forget("keeper.inflating", "keeper.reusing")  # what follows needs the room
            download.finish()
        except ReleaseError:
            self._checkpoint.clear()
            raise
        for part in manifest.parts:
            if not self._in_flash(manifest, part):
                self._checkpoint.clear()
                raise SlotError("%s doesn't hold what was written: its flash is worn" % self._slots.other.label)
        self._write_header(download, manifest)
        self._checkpoint.clear()

    def _is_there(self, manifest):
        """Whether an earlier installation of this very release was complete and only not selected."""
        other = self._slots.other
        if other.header_offset() != manifest.header_offset:
            return False
        other.read(manifest.header_offset, self._view)
        if _hex_of(self._view) != manifest.digest:
            return False
        return self._in_flash(manifest, manifest.app) and self._in_flash(manifest, manifest.fs)

    def _begin(self, download, manifest):
        """(number of the part to go on with, bytes of it that are there, where its next ones are in the file)."""
        found = self._checkpoint.recall(manifest.digest)
        if found and is_possible(found, manifest):
            if download.resumable:
                say("download", "goes on at %d bytes of part %s" % (found[1], manifest.parts[found[0]].name))
                return found
            say("download", "this server can't go on where it stood: from the start")
        other = self._slots.other
        # An older release there loses its header first: from now on until the end nothing takes the slot for one.
        # Before the checkpoint, because where there is one already this isn't done again.
        offset = other.header_offset()
        if offset is not None:
            other.erase(offset)
        self._checkpoint.start(manifest.digest, HEADER_SIZE)
        return 0, 0, HEADER_SIZE

    def _bring(self, download, manifest, number, at, have, done, place):
        """Write a part, of which `done` bytes are there; it is in the file `at`, what is still to come at `place`."""
        part = manifest.parts[number]
        start = manifest.slot_offset(part)
        digest = sha256()
        self._hash(digest, start, done)
        twin = _twin(have, part)
        view = self._view
        point = done, place  # where a download can go on
        chunks = None
        self._checkpoint.reach(number, done, place)  # written now if at all: later there is less memory
        try:
            if not twin and done < part.size:
                there = (self._slots.running.read, have.fs_offset, have.fs.size) if have else None
                chunks = opened(download, part, done, at, place, view, there, self._pulse)
            source = chunks or download
            while done < part.size:
                size = min(part.size - done, BLOCK)
                piece = view if size == BLOCK else view[:size]
                if twin:
                    self._slots.running.read(have.slot_offset(twin) + done, piece)
                else:
                    source.fill(piece)
                digest.update(piece)
                for i in range(size, BLOCK):
                    view[i] = 0xFF
                self._slots.other.write(start + done, view)
                done += size
                if chunks is None:
                    point = done, place if part.encoding else at + done
                elif chunks.at_start:
                    point = done, chunks.place
                self._checkpoint.reach(number, *point)
                self._pulse()
                if self._progress:
                    self._progress(start + done, manifest.slot_size)
            good = digest.digest() == part.sha256
            if chunks and chunks.place != at + part.stored:
                raise ReleaseError("part %s isn't as long as the manifest says" % part.name)
            if not good and not twin and not (chunks and chunks.reused):
                raise ReleaseError("part %s isn't what the manifest says (SHA-256 differs)" % part.name)
        except NetError:
            self._checkpoint.reach(number, point[0], point[1], True)
            raise
        if not good:
            say("download", "part %s can't be made of the running slot: fetched instead" % part.name)
            chunks = source = None  # not in memory twice
            self._bring(download, manifest, number, at, None, 0, at)

    def _in_flash(self, manifest, part):
        digest = sha256()
        self._hash(digest, manifest.slot_offset(part), part.size)
        return digest.digest() == part.sha256

    def _hash(self, digest, offset, size):
        """Feed bytes of the other slot to a hash."""
        view = self._view
        while size:
            count = min(size, BLOCK)
            piece = view if count == BLOCK else view[:count]
            self._slots.other.read(offset, piece)
            digest.update(piece)
            offset += count
            size -= count
            self._pulse()

    def _check_application(self, manifest):
        from keeper.imaging import check, whole_length

        read, limit = self._slots.other.read, manifest.app.size  # what is behind it is old
        try:
            size = whole_length(read, check(read, limit, manifest.chip), limit)
        finally:
            forget("keeper.imaging")
        if size != manifest.app.size:
            raise ReleaseError("application image has %d bytes, its manifest says %d" % (size, manifest.app.size))

    def _write_header(self, download, manifest):
        """The header that was admitted isn't in memory any more: it has to be the same still."""
        other, view = self._slots.other, self._view
        download.seek(0, view, HEADER_SIZE)
        download.fill(view)
        if _hex_of(view) != manifest.digest:
            raise ReleaseError("the release on the server isn't the one any more whose signature was checked")
        other.write(manifest.header_offset, view)
        other.read(manifest.header_offset, view)
        if _hex_of(view) != manifest.digest:
            raise SlotError("%s doesn't hold what was written: its flash is worn" % other.label)


def _hex_of(view):
    """The digest of a header, as `Layout.digest` has it."""
    return str(binascii.hexlify(sha256(view).digest()), "ascii")


def _twin(have, part):
    """The part of the running release with the same content, or None."""
    for other in have.parts if have else ():
        if other.sha256 == part.sha256 and other.size == part.size:
            return other
    return None
