"""The device's standing with Gecko OS DMS: provisioned with a token, acknowledged, activated to a product.

Everything is in one record in NVS, `dms`: each step is kept whole or not at all, and may be cut off on either side, the
next call finishes it. The record belongs to one serial, uuid, service and server. docs/life-cycle.md has the states.
This module knows the driver's verbs, not its wire.
"""

from keeper.clouds.dms_record import checked_code, factory_token, is_token, mark_of, sound, uuid_of
from keeper.console import say
from keeper.errors import CloudError
from keeper.naming import give_name

INCOMPLETE_AND_NO_TOKEN = 0
INCOMPLETE_AND_HAVE_TOKEN = 1
COMPLETE_BUT_NO_ACK = 2
COMPLETE = 3
_NAMES = ("no token", "not provisioned yet", "not acknowledged yet", "provisioned")
_KNOWN_AS_LIMIT = 64  # the ledger takes no longer words


class GeckoDms:
    """store: `state.Store`; cloud: `dms_wire.DmsWire`; name: what the thing is to be called, or None.

    The record: token; credential, acked; spent: mark of the factory record's token once that is used up; product and
    thing that it is activated to; wanted: the product it is being moved to; named: the thing that has got its name.
    """

    def __init__(self, identity, store, cloud, name=None):
        self._identity = identity
        self._store = store
        self._cloud = cloud
        self._name = name
        self._uuid = uuid_of(identity)
        self._factory_token = factory_token(identity)
        self._origin = {"serial": identity.serial, "service": identity.service, "server": identity.server}
        self._origin["uuid"] = self._uuid
        self._record = {}
        self._stale = False  # the server has forgotten the activation
        self._unknown = False  # the server has refused the credential, and that was said

    def recall(self):
        """Take what NVS holds, if it is for this serial, uuid, service and server."""
        found = self._store.load("dms")
        if not isinstance(found, dict):
            return
        for field in self._origin:
            if found.get(field) != self._origin[field]:
                say("provision", "what is stored belongs to another %s: not used" % field)
                return
        self._record = sound(found)
        self._cloud.use(self._record.get("credential"))

    # the vendor's three calls

    def get_provision_status(self):
        """One of the four states above."""
        if "credential" in self._record:
            return COMPLETE if self._record["acked"] else COMPLETE_BUT_NO_ACK
        return INCOMPLETE_AND_HAVE_TOKEN if self._token() else INCOMPLETE_AND_NO_TOKEN

    def provision(self, provisioning_token=None):
        """Do what is missing to be provisioned; in the state COMPLETE nothing. Raises CloudError, NetError, StateError.

        provisioning_token: stored, if there is no credential yet; None: the one that was given before.
        """
        status = self.get_provision_status()
        if status <= INCOMPLETE_AND_HAVE_TOKEN:
            if provisioning_token is not None and provisioning_token != self._token():
                if not is_token(provisioning_token):
                    raise CloudError(400, "", "that is no provisioning token: 1 to 64 letters, digits, - and _")
                self._keep(token=provisioning_token)
            self._get_credential()
        if status != COMPLETE:
            self._acknowledge()

    def activate(self, product_code=None):
        """Become a device of the product (None: of the one that it is of): the server's answer, a dict.

        The wish is kept before it is told, so that a lost answer doesn't leave board and server at two products.
        """
        code = checked_code(self.product() if product_code is None else product_code)
        if self.get_provision_status() != COMPLETE:
            raise CloudError(401, "", "%s: it can't be activated" % _NAMES[self.get_provision_status()])
        if code != self._record.get("wanted", self.product()):
            self._keep(wanted=code)
        say("activate", "to product %s at %s" % (code, self._identity.server))
        try:
            answer = self._cloud.activate(code)
        except CloudError as error:
            if error.status in (400, 404) or (error.status == 403 and "thing" in self._record):
                self._keep(wanted=None)  # refused for good: it stays what it is
            raise
        self._keep(product=code, thing=answer["thing"], wanted=None)
        self._stale = False
        say("activate", "done: thing %s of product %s" % (answer["thing"], code))
        return answer

    # what the life cycle asks for

    def ensure(self):
        """Provision, activate, name the thing, as far as it isn't done. Raises CloudError, NetError, StateError."""
        self.provision()
        if "wanted" in self._record or not self.active():
            self.activate(self._record.get("wanted"))
        if self._name and self._record.get("named") != self._record["thing"]:
            give_name(self._cloud, self._name)
            self._keep(named=self._record["thing"])

    def active(self):
        """Whether there is a credential to call with, and a thing to speak for."""
        return self.get_provision_status() == COMPLETE and "thing" in self._record and not self._stale

    def thing(self):
        """The thing's id with its product: of one product the server doesn't know what it was told for another."""
        return ("%s %s" % (self._record["thing"], self.product()))[:_KNOWN_AS_LIMIT]

    def product(self):
        """Whose releases are accepted: the product that it was activated to, before that the factory record's."""
        return self._record.get("product", self._identity.product)

    def works(self):
        """The server has just taken the credential."""
        self._unknown = False

    def refused(self, error):
        """Whether another turn may follow at once: never. Takes note of what the error says of the standing."""
        if isinstance(error, CloudError):
            if error.status == 409 and error.code == "not_activated":
                self._stale = True
            elif error.status == 401 and self.get_provision_status() == COMPLETE and not self._unknown:
                self._unknown = True
                say("provision", "the DMS doesn't know this device any more: reset-credentials and a new token")
        return False

    def forget(self):
        """Erase token and credential: it has to be provisioned anew. Product and name of the thing are still known."""
        kept = {name: self._record[name] for name in ("product", "named", "spent") if name in self._record}
        if kept:
            self._store.save("dms", dict(kept, **self._origin))
        else:
            self._store.erase("dms")
        self._record = kept
        self._cloud.use(None)

    def describe(self):
        """For a status: what stands where, nothing secret."""
        told = dict(self._origin, product=self.product())
        told["state"] = "activated" if self.active() else _NAMES[self.get_provision_status()]
        told["thing"] = self._record.get("thing")
        return told

    def _token(self):
        """The token that may be used, or None; the factory record's can't be erased there, and counts once."""
        token = self._record.get("token")
        if token is None and self._factory_token and mark_of(self._factory_token) != self._record.get("spent"):
            return self._factory_token
        return token

    def _get_credential(self):
        token = self._token()
        if token is None:
            raise CloudError(401, "", "this device has no provisioning token: give it one on its console (provision)")
        say("provision", "device %s at %s" % (self._uuid, self._identity.server))
        credential = self._cloud.provision(token, self._uuid)
        self._keep(credential=credential, acked=False, thing=None)
        self._cloud.use(credential)

    def _acknowledge(self):
        try:
            self._cloud.acknowledge()
        except CloudError as error:
            if error.status != 401:
                raise
            self._keep(credential=None, acked=None)
            self._cloud.use(None)
            raise CloudError(401, error.code, "the credential was replaced or taken back: the token is used once more")
        if "token" in self._record:
            self._keep(acked=True, token=None)
        else:
            self._keep(acked=True, spent=self._factory_token and mark_of(self._factory_token))
        say("provision", "done: device %s" % self._uuid)

    def _keep(self, **changes):
        """Store the record with the changes; a None takes the field away. Nothing has changed if that fails."""
        record = dict(self._record)
        record.update(changes)
        record = {name: record[name] for name in record if record[name] is not None}
        if record != self._record:
            self._store.save("dms", dict(record, **self._origin))
            self._record = record
