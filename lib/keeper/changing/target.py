"""What follows from the server's target: the trial that passes, what the server has still to be told, the next update.

It asks the service and the ledger, and leaves what it found in the life cycle, as plain values. The update itself is
another phase, which begins when this one is over.
"""

from keeper.board.slots import Slots
from keeper.console import say
from keeper.errors import CloudError
from keeper.nvs.state import Store
from keeper.phases import forget
from keeper.remembering.ledger import Ledger


def follow(life, target):
    """Do what comes before an update, in this order, and say whether one has to follow.

    life: `lifecycle.Lifecycle`; target: a `Version`, or None.
    """
    ledger = _ledger(life)
    if life.on_trial:
        missing = life.product.healthy()
        if missing:
            life.note("trial", "still to be shown: %s" % missing)
            return False
        _pass_trial(life)
    awaited_id = ledger.awaited_id()
    if awaited_id:
        _confirm_awaited(life, ledger, awaited_id)
    _tell_failure(life, ledger)
    life.open = False
    if target is None:
        life.note("version", "the server has none for this device")
    elif _is_current(life, ledger, target):
        life.current = life.standing.thing(), target.id
        life.note("version", "up to date: %s" % target.name)
    elif ledger.holds_back(target.id, life.up_ms()) or life.holds_back(target.id):
        life.note("version", "%s failed on this board: not tried again now" % target.name)
    else:
        return True
    return False


def confirm(life, version_id):
    """Tell the server that this version runs, as its release turned out to be the one that does."""
    _confirm(life, _ledger(life), version_id)


def _ledger(life):
    ledger = Ledger(Store(), *life.running)
    ledger.speak_of(life.standing.thing())
    return ledger


def _pass_trial(life):
    slots = Slots()
    slots.confirm()
    life.on_trial = False
    say("trial", "passed: %s stays" % slots.running.label)
    from keeper import settling

    settling.settle_proved(life)
    forget("keeper.settling", "keeper.release")


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


def _confirm_awaited(life, ledger, version_id):
    try:
        _confirm(life, ledger, version_id)
    except CloudError as error:
        if error.status not in (404, 409):
            raise
        # The version was withdrawn while it was on its way here. That must not keep the board from the next one.
        say("confirm", "version %s isn't known any more: %s" % (version_id, error))
        ledger.give_up()


def _tell_failure(life, ledger):
    failure = ledger.untold_failure()
    if not failure:
        return
    try:
        life.cloud.failed(*failure)
    except CloudError as error:
        if error.status == 401 or error.status >= 429:
            raise
        say("rollback", "the server doesn't want to know: %s" % error)
    ledger.told()
