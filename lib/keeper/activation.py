"""The board's standing with its service: activated by serial, key and thing kept in NVS, thing given its name.

Every activation makes a new key and drops the old one on the server, so a key is stored before it is used and only
replaced by a newer one; a lost answer costs one more activation. The key belongs to one serial, service and server,
and is never used for another. It knows a cloud driver's verbs, not its wire.
"""

import time

from keeper.backoff import Backoff
from keeper.console import say
from keeper.errors import CloudError
from keeper.naming import give_name

# A key that held so long was dropped for a reason of its own. One that was dropped sooner is perhaps another board's
# with the same serial: the two would take it from each other for ever, so each tries with growing pauses.
_PEACE_MS = 3_600_000
_PAUSE_BASE_MS = 60_000
_PAUSE_CAP_MS = 3_600_000


class Activation:
    """store: `state.Store`; cloud: a driver of `keeper.clouds`; name: what the thing is to be called, or None."""

    def __init__(self, identity, store, cloud, name=None):
        self._identity = identity
        self._store = store
        self._cloud = cloud
        self._name = name
        self._origin = {"serial": identity.serial, "service": identity.service, "server": identity.server}
        self._credentials = None
        self._named_thing = None  # a thing is named once: its owner may have given it another name since
        self._dropped_ms = None  # when a key was last dropped, until one has held
        self._pause = Backoff(_PAUSE_BASE_MS, _PAUSE_CAP_MS)
        self._not_before_ms = None

    def recall(self):
        """Take the credentials that NVS holds, if they are for this serial, service and server."""
        found = self._store.load("cloud")
        if not isinstance(found, dict) or not _is_word(found.get("thing")):
            return
        for field in self._origin:
            # A record of schema 0 doesn't say where its key is from: it is from the only server that there was.
            if found.get(field, self._origin[field]) != self._origin[field]:
                say("activate", "the stored key belongs to another %s: not used" % field)
                return
        if found.get("named"):
            self._named_thing = found["thing"]
        if _is_word(found.get("key")):
            self._cloud.use(found)
            self._credentials = found

    def ensure(self):
        """Activate if there is no key, name the thing if it isn't yet. Raises CloudError, NetError, StateError."""
        if not self._credentials:
            self._keep_pause()
            say("activate", "serial %s at %s" % (self._identity.serial, self._identity.server))
            found = self._cloud.activate(self._identity)
            found.update(self._origin)
            found["named"] = found["thing"] == self._named_thing
            self._store.save("cloud", found)
            self._credentials = found
            self._cloud.use(found)
            say("activate", "done: thing %s" % found["thing"])
        if self._name and not self._credentials.get("named"):
            self._rename()

    def provision(self, token=None):
        """For services with provisioning tokens; this one goes by the serial."""
        raise CloudError(400, "", "%s needs no token" % self._identity.service)

    def activate(self, code=None):
        """Activate at once, key or no key; code: None, or the only product there is. {"thing": its id}."""
        if code not in (None, self._identity.product):
            raise CloudError(400, "", "%s doesn't move a device to another product" % self._identity.service)
        self._credentials = None
        self._not_before_ms = None
        self.ensure()
        return {"thing": self.thing()}

    def forget(self):
        """Erase the key: the next `ensure` activates. That the thing has its name is still known."""
        self._store.erase("cloud")
        self._credentials = None
        if self._named_thing:
            self._store.save("cloud", dict(self._origin, thing=self._named_thing, named=True))

    def describe(self):
        """For a status: what stands where, nothing secret."""
        told = dict(self._origin, product=self.product())
        told["state"] = "activated" if self.active() else "not activated"
        told["thing"] = self.thing() if self.active() else None
        return told

    def product(self):
        """Whose releases are accepted."""
        return self._identity.product

    def active(self):
        """Whether there is a key to call with."""
        return self._credentials is not None

    def thing(self):
        """The thing's id; call it only while `active`."""
        return self._credentials["thing"]

    def works(self):
        """The server has just taken the key; when it has held for an hour, the next refusal is a first one again."""
        if self._dropped_ms is not None and time.ticks_diff(time.ticks_ms(), self._dropped_ms) > _PEACE_MS:
            self._dropped_ms = None
            self._pause.reset()

    def refused(self, error):
        """Whether `error` means that the key was dropped, and an activation may follow at once.

        Only the first one may: after it `ensure` refuses until a pause, longer each time, is over.
        """
        if not isinstance(error, CloudError) or error.status != 401 or self._credentials is None:
            return False
        self._credentials = None
        first = self._dropped_ms is None
        self._dropped_ms = time.ticks_ms()
        if not first:
            self._not_before_ms = time.ticks_add(self._dropped_ms, self._pause.next_ms())
            return False
        say("activate", "the server doesn't know the key any more: activating again")
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

    def _rename(self):
        give_name(self._cloud, self._name)
        self._named_thing = self._credentials["thing"]
        self._credentials["named"] = True
        self._store.save("cloud", self._credentials)


def _is_word(value):
    return isinstance(value, str) and value != ""
