"""One update, from a target version to the reset into it: download, install, remember, select.

The order is what keeps it safe: what the next boot should run is in NVS before the slot is selected, and nothing but
the reset follows that. It decides neither whether an update is due nor what happens after the boot.
"""

import time

from keeper.console import say
from keeper.download import Download
from keeper.errors import ReleaseError

# A release that isn't acceptable won't become so, but one that was damaged on its way may be sound next time.
_REFUSALS = 3
_REFUSED_MS = 6 * 3_600_000


class Updater:
    """cloud, ledger, slots, installer, product: as `lifecycle.Lifecycle` has them."""

    def __init__(self, cloud, ledger, slots, installer, product):
        self._cloud = cloud
        self._ledger = ledger
        self._slots = slots
        self._installer = installer
        self._product = product
        self._refused_id = None
        self._refusals = 0
        self._refused_ms = 0

    def holds_back(self, version_id):
        """Whether this version failed here before, and isn't to be tried again now."""
        if self._ledger.holds_back(version_id):
            return True
        if version_id != self._refused_id or self._refusals < _REFUSALS:
            return False
        if time.ticks_diff(time.ticks_ms(), self._refused_ms) < _REFUSED_MS:
            return True
        self._refusals = 0
        return False

    def update(self, target):
        """Install the version and reset into it; returns (False) only if it is what runs already."""
        say("update", "to %s (%s)" % (target.name, target.id))
        download = Download(self._cloud, target.id)
        try:
            manifest = self._installer.read_header(download)
            if self._ledger.runs(manifest.digest):
                return False
            self._installer.install(download, manifest)
        except ReleaseError:
            self._refusals = self._refusals + 1 if target.id == self._refused_id else 1
            self._refused_id = target.id
            self._refused_ms = time.ticks_ms()
            raise
        finally:
            download.close()
        self._product.before_reset()
        self._slots.forget_verdict()
        self._ledger.expect(target.id, manifest)
        self._slots.select()
        say("reset", "into release %s in %s" % (manifest.version, self._slots.other.label))
        self._product.reset()
        return True
