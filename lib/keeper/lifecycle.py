"""The life of a device: activated, kept up to date, confirmed. One state machine over a cloud driver and the installer.

`step` does what is due and returns; whatever the modules below raise becomes one line and a later try, here and nowhere
else. It knows no product: the product shows its health to it. docs/life-cycle.md draws the states.
"""

import gc
import time

from keeper import bootfiles
from keeper.backoff import Backoff
from keeper.console import say
from keeper.errors import CloudError, KeeperError
from keeper.slots import ABORTED, INVALID, state_name
from keeper.update import Updater

_RETRY_BASE_MS = 2_000
_RETRY_CAP_MS = 15 * 60_000
_TRIAL_POLL_MS = 1_000


class Lifecycle:
    """Brings one device from bare to registered, and from release to release.

    standing and cloud: as `keeper.clouds.join` gives them; ledger, policy, slots, installer: objects of these modules.
    product: an object with `healthy()`: "" when it works, else what is still missing (asked when the server was
    reached); `last_words()`: why the board started, and what the boot before it had to say; `before_reset()`: delivers
    what a reset would lose, or raises NetError, then the update is tried again later; `reset()`: restarts the board,
    doesn't return.
    """

    def __init__(self, standing, ledger, policy, slots, installer, cloud, product, sync_ms=900_000):
        self.standing = standing
        self._ledger = ledger
        self._policy = policy
        self._slots = slots
        self._updater = Updater(cloud, ledger, slots, installer, product)
        self._cloud = cloud
        self._product = product
        self._sync_ms = sync_ms
        self._backoff = Backoff(_RETRY_BASE_MS, _RETRY_CAP_MS)
        self._due_ms = time.ticks_ms()
        self._last_note = None
        self.asked_ms = None
        self.last_sync_ms = None  # tick of the last turn in which all went well
        self._running = None
        self._on_trial = False

    def begin(self, running):
        """Settle after a boot what NVS and the slots disagree about; running: Manifest of what runs, or None."""
        slots, self._running = self._slots, running
        self._on_trial = slots.on_trial()
        state, version = state_name(slots.state(slots.running)), running.version if running else "unknown"
        say("slot", "%s runs release %s, %s" % (slots.running.label, version, state))
        try:
            self.standing.recall()
        except KeeperError as error:
            say("state", str(error))
        try:
            aborted = slots.state(slots.other) in (ABORTED, INVALID)
            why = self._product.last_words()
            failed = self._ledger.settle(aborted, why, self._on_trial)
            if failed:
                say("rollback", "release %s didn't prove itself: %s" % (failed, why))
            if not self._on_trial:
                self._settle_proved()
        except KeeperError as error:
            say("state", str(error))

    def step(self):
        """Do what is due, if anything. Never raises a KeeperError."""
        if time.ticks_diff(self._due_ms, time.ticks_ms()) > 0:
            return
        gc.collect()
        try:
            self._sync()
            pause_ms = _TRIAL_POLL_MS if self._on_trial else self._sync_ms
            self.standing.works()
            self._backoff.reset()
            self.last_sync_ms = time.ticks_ms()
        except KeeperError as error:
            pause_ms = self._pause_after(error)
        except MemoryError:
            pause_ms = self._pause_after("there is not enough memory just now")
        self._due_ms = time.ticks_add(time.ticks_ms(), pause_ms)

    def sync_now(self):
        """Let the next `step` look at the server, whatever pause there was to be."""
        self._due_ms = time.ticks_ms()

    def active(self):
        """Whether there is a key to call the server with."""
        return self.standing.active()

    def send(self, event, points):
        """Deliver datapoints [(value, at or None)]; True when the server has them. Never raises a KeeperError.

        `asked_ms` is then the pause that the server wants before the next try, or None.
        """
        self.asked_ms = None
        if not self.active():
            return False
        try:
            self._cloud.report(event, points)
            self.standing.works()
            return True
        except KeeperError as error:
            self.asked_ms = getattr(error, "retry_after_ms", None)
            if self.standing.refused(error):
                self.sync_now()
            self._note("deliver", str(error))
            return False

    def _pause_after(self, error):
        if self.standing.refused(error):
            return 0
        pause_ms = self._backoff.next_ms(getattr(error, "retry_after_ms", None))
        self._note("wait", "%s; next try in %d s" % (error, (pause_ms + 999) // 1000))
        return pause_ms

    def _sync(self):
        self.standing.ensure()
        self._ledger.speak_of(self.standing.thing())
        target = self._cloud.target()
        if self._on_trial:
            missing = self._product.healthy()
            if missing:
                self._note("trial", "still to be shown: %s" % missing)
                return
            self._slots.confirm()
            self._on_trial = False
            say("trial", "passed: %s stays" % self._slots.running.label)
            self._settle_proved()
        awaited_id = self._ledger.awaited_id()
        if awaited_id:
            self._confirm_awaited(awaited_id)
        self._tell_failure()
        if target is None:
            self._note("version", "the server has none for this device")
        elif self._is_current(target):
            self._note("version", "up to date: %s" % target.name)
        elif self._updater.holds_back(target.id):
            self._note("version", "%s failed on this board: not tried again now" % target.name)
        elif not self._updater.update(target):
            self._confirm(target.id)

    def _is_current(self, target):
        """Whether the target is what runs: by what NVS knows, else by what the server knows, or by its digest."""
        ledger = self._ledger
        known_id = ledger.known_id()
        if known_id is None:
            current = self._cloud.current()
            if current is not None and not ledger.contradicts(current):
                known_id = current.id
                if known_id == target.id:
                    ledger.confirmed(known_id)
        if known_id == target.id or not ledger.runs(target.digest):
            return known_id == target.id
        self._confirm(target.id)
        return True

    def _confirm(self, version_id):
        """Tell the server what runs, and only then remember it: a cut in between repeats it, which changes nothing."""
        self._cloud.confirm(version_id)
        self._ledger.confirmed(version_id)
        say("confirm", "version %s confirmed on the server" % version_id)

    def _confirm_awaited(self, version_id):
        try:
            self._confirm(version_id)
        except CloudError as error:
            if error.status not in (404, 409):
                raise
            # The version was withdrawn while it was on its way here. That must not keep the board from the next one.
            say("confirm", "version %s isn't known any more: %s" % (version_id, error))
            self._ledger.give_up()

    def _settle_proved(self):
        """What a release may change for good once it is here to stay; repeated at each boot, should a cut have come."""
        if self._running:
            self._policy.proved(self._running)
        bootfiles.renew()

    def _tell_failure(self):
        failure = self._ledger.untold_failure()
        if not failure:
            return
        try:
            self._cloud.failed(*failure)
        except CloudError as error:
            if error.status == 401 or error.status >= 429:
                raise
            say("rollback", "the server doesn't want to know: %s" % error)
        self._ledger.told()

    def _note(self, topic, text):
        """Say a line, but not the same one again and again."""
        if (topic, text) != self._last_note:
            self._last_note = (topic, text)
            say(topic, text)
