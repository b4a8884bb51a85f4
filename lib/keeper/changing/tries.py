"""What failed tries to install a release cost: the pauses that keep a server from wearing out the flash.

Counted in `life.tries`, in memory: a server can't restart a board but by an update that succeeds, and those are counted
in NVS, see `remembering.ledger`. docs/life-cycle.md adds up the wear. Must not know how a release is installed.
"""

from keeper import uptime

# A release that isn't acceptable won't become so, but one that was damaged on its way may be sound next time.
_REFUSALS = 3
_REFUSED_MS = 6 * 3_600_000

# Each try to install erases flash: from the sixth on, failed for whatever reason, they have pauses of their own.
_QUICK_TRIES = 5
_BASE_MS = 60_000
_CAP_MS = 7_200_000


def count_failed(life):
    """An installation was begun, and came to nothing."""
    failed = life.tries["failed"] = life.tries.get("failed", 0) + 1
    if failed > _QUICK_TRIES:
        life.free_ms = uptime.ms() + min(_BASE_MS << min(failed - _QUICK_TRIES, 7), _CAP_MS)


def count_refused(life, target, error):
    """This version's release isn't acceptable, or wasn't what it should be. The last refusal before a pause is told."""
    tries = life.tries
    tries["refusals"] = tries["refusals"] + 1 if tries.get("refused") == target.id else 1
    tries["refused"] = target.id
    tries["version"] = target.name
    tries["why"] = str(error) if tries["refusals"] == _REFUSALS else None
    tries["refused_ms"] = uptime.ms()


def holds_back(life, version_id):
    """Whether this version was refused too often to be tried again now."""
    tries = life.tries
    if tries.get("refused") != version_id or tries["refusals"] < _REFUSALS:
        return False
    if uptime.ms() - tries["refused_ms"] < _REFUSED_MS:
        return True
    tries["refusals"] = 0
    return False
