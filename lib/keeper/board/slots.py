"""The two application slots: what lies in them is read and written here.

The only door to the app partitions and to `otadata`; what the bootloader is asked and told is in `keeper.booting`. It
knows where a release lies in a slot (docs/release-format.md), not where it comes from.
"""

from keeper.errors import ReleaseError, SlotError
from keeper.phases import forget

BLOCK = 4096
_FIRST_OTA_SUBTYPE = 16


class Slot:
    """One application partition. `label`, `size` in bytes, `index` as otadata counts (ota_0 is 0)."""

    def __init__(self, partition):
        info = partition.info()
        self.partition = partition
        self.index = info[1] - _FIRST_OTA_SUBTYPE
        self.size = info[3]
        self.label = info[4]

    def read(self, offset, buffer):
        """Fill `buffer` (a bytearray or memoryview) from byte `offset` on."""
        try:
            self.partition.readblocks(offset // BLOCK, buffer, offset % BLOCK)
        except OSError as error:
            raise SlotError("%s can't be read at %d: %s" % (self.label, offset, error))

    def write(self, offset, buffer):
        """Erase and program whole blocks; `offset` and `len(buffer)` are multiples of 4096."""
        try:
            self.partition.writeblocks(offset // BLOCK, buffer)
        except OSError as error:
            raise SlotError("%s can't be written at %d: %s" % (self.label, offset, error))

    def erase(self, offset):
        """Erase the block at `offset`."""
        try:
            self.partition.ioctl(6, offset // BLOCK)
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

        self._partition = Partition
        try:
            running = Partition(Partition.RUNNING)
            other = running.get_next_update()
            found = Partition.find(Partition.TYPE_DATA, label="otadata")
        except OSError as error:
            raise SlotError("this flash has no two application slots (%s): flash the whole image" % error)
        if not found or other.info() == running.info():  # of one slot it is itself the next
            raise SlotError("this flash has no otadata or no second slot: flash the whole image")
        self.otadata = found[0]
        self.running = Slot(running)
        self.other = Slot(other)

    def selected(self):
        """The partition that the next boot will try."""
        return self._partition(self._partition.BOOT)

    # what the bootloader is asked and told, from its own module

    def state(self, slot):
        """otadata's state of a slot: one of `keeper.booting.otadata`'s."""
        return self._ask("state", slot)

    def on_trial(self):
        """Whether the running slot still has to prove itself: the next reset would leave it."""
        return self._ask("on_trial")

    def guard_write(self):
        """Raise SlotError unless the other slot may be written now."""
        self._ask("guard_write")

    def confirm(self):
        """Make the running slot the one to stay. SlotError if another one is selected for the next boot."""
        self._ask("confirm")

    def is_fallen_back(self):
        """Whether this slot runs because the selected one can't be booted."""
        return self._ask("is_fallen_back")

    def hold_on(self):
        """Select and confirm the running slot, after the bootloader has fallen back to it."""
        self._ask("hold_on")

    def forget_verdict(self):
        """Erase what otadata says of the other slot's former content; call it when the slot is complete."""
        self._ask("forget_verdict")

    def select(self):
        """Let the next boot try the other slot. The caller resets right after it."""
        self._ask("select")

    def _ask(self, verb, *more):
        from keeper import booting

        try:
            return booting.do(verb, self, *more)
        finally:
            forget("keeper.booting")


def align(size):
    """`size` rounded up to whole blocks."""
    return (size + BLOCK - 1) // BLOCK * BLOCK
