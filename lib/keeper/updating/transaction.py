"""One update, from an admitted release to the reset into it: download, install, remember, select.

The order is what keeps it safe: what the next boot should run is in NVS before the slot is selected, and nothing but
the reset follows that. It decides neither whether an update is due nor what happens after the boot.
"""

from keeper.board.layout import Layout
from keeper.board.slots import Slots
from keeper.console import say
from keeper.updating.checkpoint import Checkpoint
from keeper.updating.download import Download
from keeper.updating.installer import Installer


def update(life, target, admitted):
    """Install the version and reset into it. life: `lifecycle.Lifecycle`; admitted: what `admitting.admit` gave."""
    wanted, running, etag, resumable = admitted
    manifest = Layout(*wanted)
    slots = Slots()
    installer = Installer(slots, Checkpoint(), life.pulse, _Progress())
    download = Download(life.cloud, target.id, manifest.file_size, etag, resumable)
    try:
        installer.install(download, manifest, Layout(*running) if running else None)
    finally:
        download.close()
    installer = download = None  # with its block, which what follows may need
    life.product.before_reset()
    from keeper.nvs.state import Store  # not in memory beside all that a download takes
    from keeper.remembering.ledger import Ledger

    slots.forget_verdict()
    Ledger(Store(), *life.running).expect(target.id, manifest, life.up_ms())
    slots.select()
    say("reset", "into release %s in %s" % (manifest.version, slots.other.label))
    life.product.reset()


class _Progress:
    """Says how far an installation is, at each twentieth of it."""

    def __init__(self):
        self._said = -1

    def __call__(self, done, total):
        twentieth = done * 20 // total
        if twentieth != self._said:
            self._said = twentieth
            say("download", "%d%% of %d KiB" % (twentieth * 5, total // 1024))
