"""One update, from a target version to the reset into it: download, install, remember, select.

The order is what keeps it safe: what the next boot should run is in NVS before the slot is selected, and nothing but
the reset follows that. It decides neither whether an update is due nor what happens after the boot.
"""

from keeper.board.slots import Slots
from keeper.console import say
from keeper.nvs.state import Store
from keeper.updating.checkpoint import Checkpoint
from keeper.updating.download import Download
from keeper.updating.installer import Installer
from keeper.updating.verifying import Admission


def update(life, target):
    """Install the version and reset into it; returns (False) only if it is what runs already.

    life: `lifecycle.Lifecycle`; target: a `Version` of its service.
    """
    store, slots = Store(), Slots()
    admission = Admission(life.standing.product, store, life.now)
    installer = Installer(slots, admission, Checkpoint(store), life.pulse, _Progress())
    say("update", "to %s (%s)" % (target.name, target.id))
    download = Download(life.cloud, target.id)
    try:
        manifest = installer.read_header(download)
        if manifest.digest == life.running[0]:
            return False
        installer.install(download, manifest)
    finally:
        download.close()
    life.product.before_reset()
    from keeper.remembering.ledger import Ledger  # not in memory beside all that a download takes

    slots.forget_verdict()
    Ledger(store, *life.running).expect(target.id, manifest)
    slots.select()
    say("reset", "into release %s in %s" % (manifest.version, slots.other.label))
    life.product.reset()
    return True


class _Progress:
    """Says how far an installation is, at each twentieth of it."""

    def __init__(self):
        self._said = -1

    def __call__(self, done, total):
        twentieth = done * 20 // total
        if twentieth != self._said:
            self._said = twentieth
            say("download", "%d%% of %d KiB" % (twentieth * 5, total // 1024))
