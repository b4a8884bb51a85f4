"""The device's standing with Gecko OS DMS: provisioned with a token, acknowledged, activated to a product.

Everything is in one record in NVS, `dms`. How it gets there is in the phase `joining`; here is what of it counts all
the time, and the vendor's three calls.
"""

from keeper.console import say
from keeper.errors import CloudError
from keeper.phases import forget

INCOMPLETE_AND_NO_TOKEN = 0
INCOMPLETE_AND_HAVE_TOKEN = 1
COMPLETE_BUT_NO_ACK = 2
COMPLETE = 3
_KNOWN_AS_LIMIT = 64  # the ledger takes no longer words


class GeckoDms:
    """identity: `device.Device`; cloud: `wire.DmsWire`; name: what the thing is to be called, or None.

    record: token; credential, acked; spent: mark of the factory record's token once that is used up; product and
    thing that it is activated to; wanted: the product it is being moved to; named: the thing that has got its name.
    stale: the server has forgotten the activation.
    """

    def __init__(self, identity, cloud, name=None):
        self.identity = identity
        self.cloud = cloud
        self.name = name
        self.record = {}
        self.stale = False
        self._unknown = False  # the server has refused the credential, and that was said
        self.uuid = self._joining("uuid", identity)
        self.factory_token = self._joining("factory_token", identity)

    def recall(self):
        """Take what NVS holds, if it is for this serial, uuid, service and server."""
        self._joining("recall", self)

    # the vendor's three calls

    def get_provision_status(self):
        """One of the four states above."""
        return self._joining("status", self)

    def provision(self, provisioning_token=None):
        """Do what is missing to be provisioned; in the state COMPLETE nothing. Raises CloudError, NetError, StateError.

        provisioning_token: stored, if there is no credential yet; None: the one that was given before.
        """
        self._joining("provision", self, provisioning_token)

    def activate(self, product_code=None):
        """Become a device of the product (None: of the one that it is of): the server's answer, a dict.

        The wish is kept before it is told, so that a lost answer doesn't leave board and server at two products.
        """
        return self._joining("activate", self, product_code)

    # what the life cycle asks for

    def ensure(self):
        """Provision and activate, as far as it isn't done. Raises CloudError, NetError, StateError."""
        if not self.active() or "wanted" in self.record:
            self._joining("ensure", self)

    def give_name(self):
        """Name the thing, if it isn't yet. Raises CloudError, NetError, StateError."""
        if self.name and self.active() and self.record.get("named") != self.record["thing"]:
            self._joining("give_name", self)

    def complete(self):
        """Whether it is provisioned, and the server knows that."""
        return "credential" in self.record and self.record["acked"]

    def active(self):
        """Whether there is a credential to call with, and a thing to speak for."""
        return self.complete() and "thing" in self.record and not self.stale

    def thing(self):
        """The thing's id with its product: of one product the server doesn't know what it was told for another."""
        return ("%s %s" % (self.record["thing"], self.product()))[:_KNOWN_AS_LIMIT]

    def product(self):
        """Whose releases are accepted: the product that it was activated to, before that the factory record's."""
        return self.record.get("product", self.identity.product)

    def works(self):
        """The server has just taken the credential."""
        self._unknown = False

    def refused(self, error):
        """Whether another turn may follow at once: never. Takes note of what the error says of the standing."""
        if isinstance(error, CloudError):
            if error.status == 409 and error.code == "not_activated":
                self.stale = True
            elif error.status == 401 and self.complete() and not self._unknown:
                self._unknown = True
                say("provision", "the DMS doesn't know this device any more: reset-credentials and a new token")
        return False

    def forget(self):
        """Erase token and credential: it has to be provisioned anew. Product and name of the thing are still known."""
        self._joining("forget", self)

    def describe(self):
        """For a status: what stands where, nothing secret."""
        return self._joining("describe", self)

    def _joining(self, verb, subject, *more):
        from keeper.services.gecko_dms import joining

        try:
            return joining.do(verb, subject, *more)
        finally:
            forget("keeper.services.gecko_dms.joining", "keeper.services.naming", "keeper.nvs")
