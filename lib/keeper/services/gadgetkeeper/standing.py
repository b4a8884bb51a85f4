"""The board's standing with its service: activated by serial, key and thing kept in NVS, thing given its name.

Every activation makes a new key and drops the old one on the server, so a key is stored before it is used and only
replaced by a newer one; a lost answer costs one more activation. The key belongs to one serial, service and server,
and is never used for another. How a key is got and kept is in the phase `joining`; here is when.
"""

from keeper import uptime
from keeper.errors import CloudError
from keeper.phases import forget

_PEACE_MS = 3_600_000  # a key that held so long was dropped for a reason of its own

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
        self.dropped_ms = None  # when a key was last dropped, until one has held
        self.pause = self.not_before_ms = None  # of `joining`, between activations

    def recall(self):
        """Take the credentials that NVS holds, if they are for this serial, service and server."""
        self._joining("recall")

    def ensure(self):
        """Activate if there is no key. Raises CloudError, NetError, StateError."""
        if not self.credentials:
            self._joining("activate_in_time")

    def give_name(self):
        """Name the thing, if it isn't yet. Raises CloudError, NetError, StateError."""
        if self.name and self.credentials and not self.credentials.get("named"):
            self._joining("give_name")

    def provision(self, token=None):
        """For services with provisioning tokens; this one goes by the serial."""
        raise CloudError(400, "", "%s needs no token" % self.identity.service)

    def activate(self, code=None):
        """Activate at once, key or no key; code: None, or the only product there is. {"thing": its id}."""
        if code not in (None, self.identity.product):
            raise CloudError(400, "", "%s doesn't move a device to another product" % self.identity.service)
        self.not_before_ms = None
        self._joining("activate")  # until it has another key, the one that it has is as good as it was
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
        if self.dropped_ms is not None and uptime.ms() - self.dropped_ms > _PEACE_MS:
            self.dropped_ms = self.pause = None

    def refused(self, error):
        """Whether it says that the key was dropped, or isn't this thing's, and an activation may follow at once."""
        if not isinstance(error, CloudError) or self.credentials is None:
            return False
        if error.status != 401 and error.code not in _WRONG_THING:
            return False
        self.credentials = None
        return self._joining("drop")

    def _joining(self, verb):
        from keeper.services.gadgetkeeper import joining

        try:
            return joining.do(verb, self)
        finally:
            forget("keeper.services.gadgetkeeper.joining", "keeper.services.naming", "keeper.nvs")
