"""otadata: which slot boots, whether the running one is on trial, and the switch to the other.

Here are the guards that keep the way back open: nothing writes the other slot while the running one is on trial, and
nothing is confirmed but the slot that really runs. slots: `keeper.board.slots.Slots`, which has the partitions.
"""

import struct
from binascii import crc32

from keeper.errors import SlotError

NEW, PENDING_VERIFY, VALID, INVALID, ABORTED = 0, 1, 2, 3, 4
UNDEFINED = 0xFFFFFFFF
_NAMES = {NEW: "new", PENDING_VERIFY: "on trial", VALID: "valid", INVALID: "invalid", ABORTED: "aborted"}
_ENTRY_SIZE = 32


def state_name(state):
    """A word for one of otadata's states."""
    return _NAMES.get(state, "undefined")


def state_of(slots, slot):
    """otadata's state of a slot; UNDEFINED when no entry speaks of it."""
    return _entry(slots, slot)[0]


def _entry(slots, slot):
    """(state, sector) of the entry that speaks of a slot."""
    newest, state, at = 0, UNDEFINED, None
    entry = bytearray(_ENTRY_SIZE)
    for sector in (0, 1):
        try:
            slots.otadata.readblocks(sector, entry, 0)
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


def on_trial(slots):
    """Whether the running slot still has to prove itself: the next reset would leave it."""
    return state_of(slots, slots.running) in (NEW, PENDING_VERIFY)


def guard_write(slots):
    """Raise SlotError unless the other slot may be written now."""
    if on_trial(slots):
        raise SlotError("the running release is on trial: the other slot is the only way back and stays as it is")


def confirm(slots):
    """Make the running slot the one to stay. SlotError if another one is selected for the next boot."""
    try:
        # The call blesses the slot selected for the NEXT boot: between `select` and the reset that is not us.
        if slots.selected().info() != slots.running.partition.info():
            raise SlotError("another slot is selected for the next boot: nothing is confirmed before the reset")
        slots.running.partition.mark_app_valid_cancel_rollback()
    except OSError as error:
        raise SlotError("%s can't be confirmed: %s" % (slots.running.label, error))


def is_fallen_back(slots):
    """Whether otadata selects the other slot, but the bootloader found nothing bootable there and took this one."""
    try:
        return slots.selected().info() != slots.running.partition.info()
    except OSError as error:
        raise SlotError("otadata can't be read: %s" % error)


def hold_on(slots):
    """Select and confirm what runs, after the bootloader has fallen back to it.

    ESP-IDF 5's `esp_ota_set_boot_partition` of the slot that otadata selects already writes an equal sequence into the
    other sector (`esp_rewrite_ota_data`): a release that is installed there would have no trial. A cut between the
    two calls leaves a trial of what runs; the slot to which that falls back is the one that can't be booted.
    """
    try:
        slots.running.partition.set_boot()
    except OSError as error:
        raise SlotError("%s can't be selected: %s" % (slots.running.label, error))
    confirm(slots)


def forget_verdict(slots):
    """Erase what otadata says of the other slot's former content, which was tried and left.

    It would stand for the new content if the power went before `select`. Call it when the slot is complete:
    whatever a cut leaves of the entry, nothing half-written can be booted by it.
    """
    state, sector = _entry(slots, slots.other)
    if state not in (INVALID, ABORTED) or state_of(slots, slots.running) != VALID:
        return
    try:
        slots.otadata.ioctl(6, sector)
    except OSError as error:
        raise SlotError("otadata can't be erased: %s" % error)


def select(slots):
    """Let the next boot try the other slot. The caller resets right after it."""
    guard_write(slots)
    try:
        slots.other.partition.set_boot()
    except OSError as error:
        raise SlotError("%s isn't bootable (%s): the running release stays" % (slots.other.label, error))


_DO: dict = {
    "confirm": confirm,
    "forget_verdict": forget_verdict,
    "guard_write": guard_write,
    "hold_on": hold_on,
    "is_fallen_back": is_fallen_back,
    "on_trial": on_trial,
    "select": select,
    "state": state_of,
}


def do(verb, slots, *more):
    """Do what `Slots` wants by this name."""
    return _DO[verb](slots, *more)
