"""The life of a device: activated, kept up to date, confirmed. One state machine over a service and the phases.

`step` does what is due and returns; whatever the modules below raise becomes one line and a later try, here and nowhere
else. Always in memory, so it holds plain values only: what is done about a target that doesn't run yet is in the phases
`changing` and `updating`. It knows no product: the product shows its health to it. docs/life-cycle.md draws the states.
"""

import gc
import time

from keeper import phases
from keeper.backoff import Backoff
from keeper.console import say
from keeper.errors import KeeperError, ReleaseError

_RETRY_BASE_MS = 2_000
_RETRY_CAP_MS = 15 * 60_000
_TRIAL_POLL_MS = 1_000

# A release that isn't acceptable won't become so, but one that was damaged on its way may be sound next time.
_REFUSALS = 3
_REFUSED_MS = 6 * 3_600_000


class Lifecycle:
    """Brings one device from bare to registered, and from release to release.

    standing and cloud: as `keeper.services.join` gives them. pulse: called by whatever waits. now: callable, UTC as
    text, or None while unknown. sync_ms: pause between two looks at the server.
    product: an object with `healthy()`: "" when it works, else what is still missing (asked when the server was
    reached); `last_words()`: why the board started, and what the boot before it had to say; `before_reset()`: delivers
    what a reset would lose, or raises NetError, then the update is tried again later; `reset()`: restarts the board,
    doesn't return.

    running: (digest, version) of the release that runs, or (None, None). on_trial: whether it still has to prove
    itself. open: whether the server has still to be told of it, or of a failure; so it is after each start.
    """

    def __init__(self, standing, cloud, product, pulse, now, sync_ms=900_000):
        self.standing = standing
        self.cloud = cloud
        self.product = product
        self.pulse = pulse
        self.now = now
        self.running = None, None
        self.on_trial = False
        self.open = True
        self.current = None  # (thing, version id) that are known to belong together on the server, too
        self.asked_ms = None
        self.last_sync_ms = None  # tick of the last turn in which all went well
        self._sync_ms = sync_ms
        self._backoff = Backoff(_RETRY_BASE_MS, _RETRY_CAP_MS)
        self._booted_ms = self._due_ms = time.ticks_ms()
        self._last_note = self._refused_id = None
        self._refusals = 0
        self._refused_ms = 0

    def begin(self):
        """Settle after a boot what NVS and the slots disagree about."""
        try:
            self.standing.recall()
        except KeeperError as error:
            say("state", str(error))
        self._end()
        from keeper import settling

        try:
            settling.settle(self)
        finally:
            self._end()

    def step(self):
        """Do what is due, if anything. Never raises a KeeperError."""
        if time.ticks_diff(self._due_ms, time.ticks_ms()) > 0:
            return
        gc.collect()
        try:
            self._sync()
            pause_ms = _TRIAL_POLL_MS if self.on_trial else self._sync_ms
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
            self.cloud.report(event, points)
            self.standing.works()
            return True
        except KeeperError as error:
            self.asked_ms = getattr(error, "retry_after_ms", None)
            if self.standing.refused(error):
                self.sync_now()
            self.note("deliver", str(error))
            return False

    def up_ms(self):
        """Time since this life began."""
        return time.ticks_diff(time.ticks_ms(), self._booted_ms)

    def holds_back(self, version_id):
        """Whether this version was refused too often to be tried again now."""
        if version_id != self._refused_id or self._refusals < _REFUSALS:
            return False
        if time.ticks_diff(time.ticks_ms(), self._refused_ms) < _REFUSED_MS:
            return True
        self._refusals = 0
        return False

    def note(self, topic, text):
        """Say a line, but not the same one again and again."""
        if (topic, text) != self._last_note:
            self._last_note = (topic, text)
            say(topic, text)

    def _pause_after(self, error):
        if self.standing.refused(error):
            return 0
        pause_ms = self._backoff.next_ms(getattr(error, "retry_after_ms", None))
        self.note("wait", "%s; next try in %d s" % (error, (pause_ms + 999) // 1000))
        return pause_ms

    def _sync(self):
        self.standing.ensure()
        target = self.cloud.target()
        if not self.open and not self.on_trial:
            if target is None:
                self.note("version", "the server has none for this device")
                return
            if self.current == (self.standing.thing(), target.id):
                self.note("version", "up to date: %s" % target.name)
                return
        if self._follow(target) and not self._update(target):
            self._confirm(target.id)

    def _follow(self, target):
        """Whether the target has to be installed."""
        from keeper import changing

        try:
            return changing.follow(self, target)
        finally:
            self._end()

    def _update(self, target):
        """Install the target and reset into it; returns (False) if it is what runs already."""
        try:
            admitted = self._admit(target)
            if not admitted:
                return False
            from keeper import updating

            updating.update(self, target, admitted)
            return True
        except ReleaseError:
            self._refusals = self._refusals + 1 if target.id == self._refused_id else 1
            self._refused_id = target.id
            self._refused_ms = time.ticks_ms()
            raise
        finally:
            self._end()

    def _admit(self, target):
        from keeper import admitting

        try:
            return admitting.admit(self, target)
        finally:
            self._end()

    def _confirm(self, version_id):
        from keeper import changing

        try:
            changing.confirm(self, version_id)
        finally:
            self._end()

    def _end(self):
        phases.end()
        self.cloud.rest()
