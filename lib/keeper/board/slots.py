"""The two application slots and otadata: which release runs, what state its slot is in, and the switch to the other.

The only door to the app partitions and to `otadata`. Here are the guards that keep the way back open: nothing writes
the other slot while the running one is on trial, and nothing is confirmed but the slot that really runs. It knows
where a release lies in a slot (docs/release-format.md), not where it comes from.
"""

import struct
from binascii import crc32

from keeper.errors import ReleaseError, SlotError
from keeper.phases import forget

BLOCK = 4096
NEW, PENDING_VERIFY, VALID, INVALID, ABORTED = 0, 1, 2, 3, 4
UNDEFINED = 0xFFFFFFFF
_NAMES = {NEW: "new", PENDING_VERIFY: "on trial", VALID: "valid", INVALID: "invalid", ABORTED: "aborted"}
_FIRST_OTA_SUBTYPE = 16
_ENTRY_SIZE = 32


def state_name(state):
    """A word for one of otadata's states."""
    return _NAMES.get(state, "undefined")


class Slot:
    """One application partition. `label`, `size` in bytes, `index` as otadata counts (ota_0 is 0)."""

    def __init__(self, partition):
        info = partition.info()
        self._partition = partition
        self.index = info[1] - _FIRST_OTA_SUBTYPE
        self.size = info[3]
        self.label = info[4]

    def read(self, offset, buffer):
        """Fill `buffer` (a bytearray or memoryview) from byte `offset` on."""
        try:
            self._partition.readblocks(offset // BLOCK, buffer, offset % BLOCK)
        except OSError as error:
            raise SlotError("%s can't be read at %d: %s" % (self.label, offset, error))

    def write(self, offset, buffer):
        """Erase and program whole blocks; `offset` and `len(buffer)` are multiples of 4096."""
        try:
            self._partition.writeblocks(offset // BLOCK, buffer)
        except OSError as error:
            raise SlotError("%s can't be written at %d: %s" % (self.label, offset, error))

    def erase(self, offset):
        """Erase the block at `offset`."""
        try:
            self._partition.ioctl(6, offset // BLOCK)
        except OSError as error:
            raise SlotError("%s can't be erased at %d: %s" % (self.label, offset, error))

    def header_offset(self):
        """Where a release's header is in this slot if there is one: behind the application; None without one.

        That is behind the signature sector of Secure Boot v2 where the application has one.
        """
        from keeper.imaging import length, whole_length

        try:
            end = length(self.read, self.size)
            offset = align(whole_length(self.read, end, self.size))
        except ReleaseError:
            return None  # an empty or half-written slot is no error
        finally:
            forget("keeper.imaging")
        return offset if offset + BLOCK <= self.size else None


class Slots:
    """The running slot, the other one, and what otadata says of them."""

    def __init__(self):
        from esp32 import Partition

        self._boot = Partition.BOOT
        self._partition = Partition
        try:
            running = Partition(Partition.RUNNING)
            other = running.get_next_update()
            found = Partition.find(Partition.TYPE_DATA, label="otadata")
        except OSError as error:
            raise SlotError("this flash has no two application slots (%s): flash the whole image" % error)
        if not found or other.info() == running.info():  # of one slot it is itself the next
            raise SlotError("this flash has no otadata or no second slot: flash the whole image")
        self._running_partition = running
        self._other_partition = other
        self._otadata = found[0]
        self.running = Slot(running)
        self.other = Slot(other)

    def state(self, slot):
        """otadata's state of a slot; UNDEFINED when no entry speaks of it."""
        return self._entry(slot)[0]

    def _entry(self, slot):
        """(state, sector) of the entry that speaks of a slot."""
        newest, state, at = 0, UNDEFINED, None
        entry = bytearray(_ENTRY_SIZE)
        for sector in (0, 1):
            try:
                self._otadata.readblocks(sector, entry, 0)
            except OSError as error:
                raise SlotError("otadata can't be read: %s" % error)
            sequence = struct.unpack_from("<I", entry, 0)[0]
            entry_state, checksum = struct.unpack_from("<II", entry, 24)
            if sequence in (0, UNDEFINED) or checksum != crc32(bytes(entry[:4]), UNDEFINED):
                continue
            # Two slots: sequence 1 is ota_0, 2 is ota_1, 3 is ota_0 again. The newest entry of a slot is the one.
            if (sequence - 1) % 2 == slot.index and sequence > newest:
                newest, state, at = sequence, entry_state, sector
        return state, at

    def on_trial(self):
        """Whether the running slot still has to prove itself: the next reset would leave it."""
        return self.state(self.running) in (NEW, PENDING_VERIFY)

    def guard_write(self):
        """Raise SlotError unless the other slot may be written now."""
        if self.on_trial():
            raise SlotError("the running release is on trial: the other slot is the only way back and stays as it is")

    def confirm(self):
        """Make the running slot the one to stay. SlotError if another one is selected for the next boot."""
        try:
            # The call blesses the slot selected for the NEXT boot: between `select` and the reset that is not us.
            if self._partition(self._boot).info() != self._running_partition.info():
                raise SlotError("another slot is selected for the next boot: nothing is confirmed before the reset")
            self._partition.mark_app_valid_cancel_rollback()
        except OSError as error:
            raise SlotError("%s can't be confirmed: %s" % (self.running.label, error))

    def forget_verdict(self):
        """Erase what otadata says of the other slot's former content, which was tried and left.

        It would stand for the new content if the power went before `select`. Call it when the slot is complete:
        whatever a cut leaves of the entry, nothing half-written can be booted by it.
        """
        state, sector = self._entry(self.other)
        if state not in (INVALID, ABORTED) or self.state(self.running) != VALID:
            return
        try:
            self._otadata.ioctl(6, sector)
        except OSError as error:
            raise SlotError("otadata can't be erased: %s" % error)

    def select(self):
        """Let the next boot try the other slot. The caller resets right after it."""
        self.guard_write()
        try:
            self._other_partition.set_boot()
        except OSError as error:
            raise SlotError("%s isn't bootable (%s): the running release stays" % (self.other.label, error))


def align(size):
    """`size` rounded up to whole blocks."""
    return (size + BLOCK - 1) // BLOCK * BLOCK
