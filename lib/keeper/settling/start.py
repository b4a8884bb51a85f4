"""After a start: what runs, and what NVS and the slots disagree about. It asks no server.

What it finds it leaves in the life cycle, as plain values.
"""

from keeper import release
from keeper.board.slots import Slots
from keeper.booting import ABORTED, INVALID, state_name
from keeper.console import say
from keeper.errors import KeeperError, ReleaseError
from keeper.nvs.state import Store
from keeper.remembering.ledger import Ledger
from keeper.settling import bootfiles


def running():
    """(digest, version) of the release that runs, or (None, None)."""
    return _named(_running(Slots()))


def settle(life):
    """Settle what a boot finds; life: `lifecycle.Lifecycle`."""
    slots = Slots()
    running = _running(slots)
    life.running = _named(running)
    life.created = running.created if running else None
    life.on_trial = slots.on_trial()
    state, version = state_name(slots.state(slots.running)), running.version if running else "unknown"
    say("slot", "%s runs release %s, %s" % (slots.running.label, version, state))
    try:
        fallen = not life.on_trial and slots.is_fallen_back()
        aborted = fallen or slots.state(slots.other) in (ABORTED, INVALID)
        why = life.product.last_words()
        failed = Ledger(Store(), *life.running).settle(aborted, why, life.on_trial)
        if failed:
            say("rollback", "release %s didn't prove itself: %s" % (failed, why))
            blameless = getattr(life.product, "blameless", None)
            life.doubt = bool(blameless and blameless())
        if fallen:
            slots.hold_on()
            say("slot", "%s can't be booted; %s stays" % (slots.other.label, slots.running.label))
        if not life.on_trial:
            _settle_proved(life, running)
    except KeeperError as error:
        say("state", str(error))


def settle_proved(life):
    """What a release may change for good once it is here to stay; repeated at each boot, should a cut have come."""
    _settle_proved(life, _running(Slots()))


def _settle_proved(life, running):
    if running:
        keys, revoked, _ = release.brought()
        release.Policy(life.standing.product, keys, revoked, Store(), life.now).proved(running)
    bootfiles.renew()


def _named(found):
    return (found.digest, found.version) if found else (None, None)


def _running(slots):
    """The Manifest of what runs, or None."""
    offset = slots.running.header_offset()
    if offset is None:
        return None
    header = bytearray(release.HEADER_SIZE)
    slots.running.read(offset, header)
    try:
        return release.parse(header)
    except ReleaseError:
        return None
