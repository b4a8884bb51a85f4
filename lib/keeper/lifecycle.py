"""The life of a device: activated, kept up to date, confirmed. One state machine over a service and the phases.

`step` does what is due and returns; whatever the modules below raise becomes one line and a later try, here and nowhere
else. Always in memory, so it holds plain values only: what is done about a target that doesn't run yet is in the phases
`changing` and `updating`. It knows no product: the product shows its health to it. docs/life-cycle.md draws the states.
"""

import gc

from keeper import phases, uptime
from keeper.backoff import Backoff
from keeper.console import say
from keeper.errors import KeeperError, ReleaseError

_RETRY_BASE_MS = 2_000
_RETRY_CAP_MS = 15 * 60_000
_TRIAL_POLL_MS = 1_000
_DOUBT_MS = 10 * 60_000
_BAD_CONTENT = (400, 413, 422)  # a report that is refused with these won't be taken later


class Lifecycle:
    """Brings one device from bare to registered, and from release to release. `assembling.assemble` has the arguments.

    running: (digest, version) of what runs, or (None, None); created: when it was made. on_trial: it still has to
    prove itself. open: whether the server has still to be told something. trouble: what it is to be told besides, once.
    unwanted: it will never take what was sent last.
    """

    def __init__(self, standing, cloud, product, pulse, now, sync_ms=900_000):
        self.standing, self.cloud = standing, cloud
        self.product, self.pulse, self.now = product, pulse, now
        self.running, self.created = (None, None), None
        self.on_trial = False
        self.open = True
        self.trouble = None
        self.unwanted = False
        self.failing = False  # the last turn didn't reach the server
        self.doubt = False  # a release was rolled back, perhaps only because the server was away
        self.tries, self.free_ms = (
            {},
            uptime.ms(),
        )  # installations that failed, when the next one may begin: `changing.tries`
        self.current = None  # (thing, version id) that are known to belong together on the server, too
        self.asked_ms = self.last_sync_ms = None  # the latter: uptime at the last turn in which all went well
        self._sync_ms = sync_ms
        self._backoff = Backoff(_RETRY_BASE_MS, _RETRY_CAP_MS)
        self._booted_ms = self._due_ms = uptime.ms()
        self._last_note = None

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
        if self._due_ms > uptime.ms():
            return
        gc.collect()
        try:
            self._sync()
            pause_ms = _TRIAL_POLL_MS if self.on_trial else self._sync_ms
            held_ms = self.free_ms - uptime.ms()
            if held_ms > 0:
                pause_ms = min(pause_ms, held_ms)
            self.standing.works()
            self.doubt = self.failing = False
            self._backoff.reset()
            self.last_sync_ms = uptime.ms()
        except KeeperError as error:
            pause_ms = self._pause_after(error)
        except MemoryError:
            pause_ms = self._pause_after("there is not enough memory just now")
        self._due_ms = uptime.ms() + pause_ms

    def sync_now(self):
        """Let the next `step` look at the server."""
        self._due_ms = uptime.ms()

    def active(self):
        """Whether there is a key to call the server with."""
        return self.standing.active()

    def send(self, event, points):
        """Deliver datapoints [(value, at or None)]; True when the server has them. Never raises a KeeperError.

        Else `asked_ms` is the pause that the server wants before the next try, or None."""
        self.asked_ms, self.unwanted = None, False
        if not self.active():
            return False
        try:
            self.cloud.report(event, points)
            self.standing.works()
            return True
        except KeeperError as error:
            self.asked_ms = getattr(error, "retry_after_ms", None)
            self.unwanted = getattr(error, "status", 0) in _BAD_CONTENT
            if self.standing.refused(error):
                self.sync_now()
            self.note("deliver", str(error))
        except MemoryError:
            self.note("deliver", "there is not enough memory just now")
        return False

    def up_ms(self):
        """Time since this life began."""
        return uptime.ms() - self._booted_ms

    def note(self, topic, text):
        """Say a line, but not the same one again and again."""
        if (topic, text) != self._last_note:
            self._last_note = (topic, text)
            say(topic, text)

    def _pause_after(self, error):
        self.failing = not getattr(error, "code", "")  # what a server says in its own words
        if self.standing.refused(error):
            return 0
        if self.doubt and self.up_ms() > _DOUBT_MS:
            self.doubt = False  # the server is away for this release, too
            self._changing("excuse")
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
        if self.on_trial and not self._prove(target):
            return
        if self._changing("follow", target) and not self._update(target):
            self._changing("confirm", target.id)

    def _prove(self, target):
        """Whether the release on trial has shown that it works, and that it can be replaced."""
        missing = self.product.healthy()
        if missing:
            self.note("trial", "still to be shown: %s" % missing)
            return False
        self._admitting("prove", self._changing("known_ids", target))
        self._changing("pass_trial")
        return True

    def _update(self, target):
        """Install the target and reset into it; returns (False) if it is what runs already."""
        installing = False
        try:
            admitted = self._admitting("admit", target)
            if not admitted:
                return False
            installing = True
            from keeper import updating

            updating.update(self, target, admitted)
            return True
        except ReleaseError as error:
            self._end()
            self._changing("count_refused", target, error)
            raise
        finally:
            self._end()
            if installing:  # nothing but a failure comes back from there
                self._changing("count_failed")

    def _admitting(self, verb, *more):
        from keeper import admitting

        try:
            return admitting.do(verb, self, *more)
        finally:
            self._end()

    def _changing(self, verb, *more):
        from keeper import changing

        try:
            return changing.do(verb, self, *more)
        finally:
            self._end()

    def _end(self):
        phases.end()
        self.cloud.rest()
