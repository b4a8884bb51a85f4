"""A trial's end: the release that runs stays. What it has to show before is asked by the life cycle and `admitting`."""

from keeper.board.slots import Slots
from keeper.console import say
from keeper.nvs.state import Store
from keeper.phases import forget
from keeper.remembering.ledger import Ledger


def known_ids(life, target):
    """Ids of versions whose firmware the server should have: first that of what runs, if it is known."""
    ledger = Ledger(Store(), *life.running)
    found = [ledger.awaited_id() or ledger.known_id(), target.id if target else None]
    return [version_id for version_id in found if version_id]


def pass_trial(life):
    """Make the running slot the one to stay."""
    slots = Slots()
    slots.confirm()
    life.on_trial = False
    say("trial", "passed: %s stays" % slots.running.label)
    from keeper import settling

    settling.settle_proved(life)
    forget("keeper.settling", "keeper.release")
