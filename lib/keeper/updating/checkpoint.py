"""How far an installation has come, in NVS, so that a reset or a cut costs little of a download.

One record, `resume`: digest of the release, number of the part in work, how many bytes of it lie in the other slot, and
where in the file the next ones are. It says only where to look: what is in flash is hashed again.
It is written every `STEP_SIZE` bytes, not for every block: NVS pages wear.
"""

import gc

from keeper.board.layout import BLOCK_SIZE, CHUNK_SIZES, HEADER_SIZE
from keeper.phases import forget

STEP_SIZE = 256 * 1024


class Checkpoint:
    """The record. The code for NVS is in memory only while it is read or written: that is seldom."""

    def __init__(self):
        self._record = None
        self._kept = 0  # bytes of the part when the record was last written

    def recall(self, digest):
        """(part, size, at) of an unfinished installation of this release, or None."""
        found = _in_store("load", "resume")
        if not isinstance(found, dict) or found.get("digest") != digest:
            return None
        place = (found.get("part"), found.get("size"), found.get("at"))
        for number in place:
            if type(number) is not int or number < 0:
                return None
        self._record = found
        self._kept = place[1]
        return place

    def start(self, digest, at):
        """Begin with a release: what another one left in the slot isn't its own."""
        self._record = {"digest": digest, "part": 0, "size": 0, "at": at}
        self._kept = 0
        _in_store("save", "resume", self._record)

    def reach(self, part, size, at, now=False):
        """So much of a part is in flash; written if it is worth it, or `now`."""
        record = self._record
        if part == record["part"] and size == record["size"] and not now:
            return
        record["part"] = part
        record["size"] = size
        record["at"] = at
        if now or size - self._kept >= STEP_SIZE or size < self._kept:
            _in_store("save", "resume", record)
            self._kept = size

    def clear(self):
        """Forget it: the installation is complete, or what it left is not what it should be."""
        self._record = None
        _in_store("erase", "resume")


def _in_store(verb, *what):
    gc.collect()  # what this loads comes on top of all that a download takes
    from keeper.nvs.state import Store

    store = Store()
    verbs: dict = {"load": store.load, "save": store.save, "erase": store.erase}
    try:
        return verbs[verb](*what)
    finally:
        forget("keeper.nvs")


def is_possible(place, manifest):
    """Whether (part, size, at) can be a place in this release (its layout): it came from NVS."""
    number, size, at = place
    if number >= len(manifest.parts):
        return False
    part = manifest.parts[number]
    step = max(BLOCK_SIZE, CHUNK_SIZES.get(part.encoding, 0))
    return size <= part.size and (size % step == 0 or size == part.size) and HEADER_SIZE <= at <= manifest.file_size
