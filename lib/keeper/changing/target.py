"""What follows from the server's target: what the server has to know of what runs, and whether an update is due.

It asks the service and the ledger, and leaves what it found in the life cycle, as plain values. The update itself is
another phase, which begins when this one is over.
"""

from keeper import uptime
from keeper.changing.telling import tell
from keeper.changing.tries import holds_back
from keeper.console import say
from keeper.errors import CloudError
from keeper.nvs.state import Store
from keeper.remembering.ledger import Ledger


def follow(life, target):
    """Do what comes before an update, and say whether one has to follow; if none has, do what can wait.

    life: `lifecycle.Lifecycle`; target: a `Version`, or None.
    """
    ledger = _ledger(life)
    awaited_id = ledger.awaited_id()
    confirmed = not awaited_id or _confirm_awaited(life, ledger, awaited_id, target)
    if target is None:
        state = "the server has none for this device"
    elif _is_current(life, ledger, target):
        life.current = life.standing.thing(), target.id
        state = "up to date: %s" % target.name
    elif ledger.holds_back(target.id, life.up_ms()) or holds_back(life, target.id):
        state = "%s failed on this board: not tried again now" % target.name
    elif uptime.ms() < life.free_ms or ledger.has_to_rest(life.up_ms()):
        state = "%s waits: too many updates one after the other" % target.name
    else:
        return True
    life.open = not tell(life, ledger, ledger.known_id()) or not confirmed
    life.note("version", state)
    return False


def excuse(life):
    """The release that was rolled back lacked nothing but the server, which is away for this one, too."""
    if _ledger(life).excuse():
        say("rollback", "not counted: the server is away for this release, too")


def confirm(life, version_id):
    """Tell the server that this version runs, as its release turned out to be the one that does."""
    _confirm(life, _ledger(life), version_id)


def _ledger(life):
    ledger = Ledger(Store(), *life.running)
    if life.standing.active():
        ledger.speak_of(life.standing.thing())
    return ledger


def _is_current(life, ledger, target):
    """Whether the target is what runs: by what NVS knows, else by what the server knows, or by its digest."""
    known_id = ledger.known_id()
    if known_id is None:
        current = life.cloud.current()
        if current is not None and not ledger.contradicts(current):
            known_id = current.id
            if known_id == target.id:
                ledger.confirmed(known_id)
    if known_id == target.id or not ledger.runs(target.digest):
        return known_id == target.id
    _confirm(life, ledger, target.id)
    return True


def _confirm(life, ledger, version_id):
    """Tell the server what runs, and only then remember it: a cut in between repeats it, which changes nothing."""
    life.cloud.confirm(version_id)
    ledger.confirmed(version_id)
    say("confirm", "version %s confirmed on the server" % version_id)


def _confirm_awaited(life, ledger, version_id, target):
    """Whether that is settled. A refusal must not keep the board from another version."""
    try:
        _confirm(life, ledger, version_id)
    except CloudError as error:
        if error.status not in (404, 409):
            if error.status == 401 or not target or target.id == version_id:
                raise
            life.note("later", "version %s isn't confirmed: %s" % (version_id, error))
            return False
        # The version was withdrawn while it was on its way here.
        say("confirm", "version %s isn't known any more: %s" % (version_id, error))
        ledger.give_up()
    return True
