"""The board's standing with its service: activated by serial, key and thing kept in NVS, thing given its name.

Every activation makes a new key and drops the old one on the server, so a key is stored before it is used and only
replaced by a newer one; a lost answer costs one more activation. The key belongs to one serial, service and server,
and is never used for another. How a key is got and kept is in the phase `joining`; here is when.
"""

import time

from keeper.backoff import Backoff
from keeper.console import say
from keeper.errors import CloudError
from keeper.phases import forget

# A key that held so long was dropped for a reason of its own. One that was dropped sooner is perhaps another board's
# with the same serial: the two would take it from each other for ever, so each tries with growing pauses.
_PEACE_MS = 3_600_000
_PAUSE_BASE_MS = 60_000
_PAUSE_CAP_MS = 3_600_000

# The key is good, but not for the thing that the board takes itself for: its id was damaged on its way, or deleted.
_WRONG_THING = ("no_such_thing", "wrong_thing")


class Activation:
    """identity: `device.Device`; cloud: the service's wire; name: what the thing is to be called, or None.

    credentials: {"key", "thing", "named", ...} or None. named_thing: the thing that has got its name: it is named once,
    for its owner may have given it another one since.
    """

    def __init__(self, identity, cloud, name=None):
        self.identity = identity
        self.cloud = cloud
        self.name = name
        self.credentials = None
        self.named_thing = None
        self._dropped_ms = None  # when a key was last dropped, until one has held
        self._pause = Backoff(_PAUSE_BASE_MS, _PAUSE_CAP_MS)
        self._not_before_ms = None

    def recall(self):
        """Take the credentials that NVS holds, if they are for this serial, service and server."""
        self._joining("recall")

    def ensure(self):
        """Activate if there is no key, name the thing if it isn't yet. Raises CloudError, NetError, StateError."""
        if self.credentials and (self.credentials.get("named") or not self.name):
            return
        if not self.credentials:
            self._keep_pause()
        self._joining("ensure")

    def provision(self, token=None):
        """For services with provisioning tokens; this one goes by the serial."""
        raise CloudError(400, "", "%s needs no token" % self.identity.service)

    def activate(self, code=None):
        """Activate at once, key or no key; code: None, or the only product there is. {"thing": its id}."""
        if code not in (None, self.identity.product):
            raise CloudError(400, "", "%s doesn't move a device to another product" % self.identity.service)
        self.credentials = None
        self._not_before_ms = None
        self.ensure()
        return {"thing": self.thing()}

    def forget(self):
        """Erase the key: the next `ensure` activates. That the thing has its name is still known."""
        self._joining("forget")

    def describe(self):
        """For a status: what stands where, nothing secret."""
        return self._joining("describe")

    def product(self):
        """Whose releases are accepted."""
        return self.identity.product

    def active(self):
        """Whether there is a key to call with."""
        return self.credentials is not None

    def thing(self):
        """The thing's id; call it only while `active`."""
        return self.credentials["thing"]

    def works(self):
        """The server has just taken the key; when it has held for an hour, the next refusal is a first one again."""
        if self._dropped_ms is not None and time.ticks_diff(time.ticks_ms(), self._dropped_ms) > _PEACE_MS:
            self._dropped_ms = None
            self._pause.reset()

    def refused(self, error):
        """Whether `error` means that the key was dropped, or isn't this thing's, and an activation may follow at once.

        Only the first one may: after it `ensure` refuses until a pause, longer each time, is over.
        """
        if not isinstance(error, CloudError) or self.credentials is None:
            return False
        if error.status != 401 and error.code not in _WRONG_THING:
            return False
        self.credentials = None
        first = self._dropped_ms is None
        self._dropped_ms = time.ticks_ms()
        if not first:
            self._not_before_ms = time.ticks_add(self._dropped_ms, self._pause.next_ms())
            return False
        say("activate", "the server doesn't know this key and thing any more: activating again")
        return True

    def _keep_pause(self):
        if self._not_before_ms is None:
            return
        left_ms = time.ticks_diff(self._not_before_ms, time.ticks_ms())
        if left_ms > 0:
            error = CloudError(401, "", "the key was dropped again; does another board have this serial?")
            error.retry_after_ms = left_ms
            raise error
        self._not_before_ms = None

    def _joining(self, verb):
        from keeper.services.gadgetkeeper import joining

        try:
            return joining.do(verb, self)
        finally:
            forget("keeper.services.gadgetkeeper.joining", "keeper.services.naming", "keeper.nvs")
