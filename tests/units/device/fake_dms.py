"""Gecko OS DMS as far as one device sees it, and a driver for it; no wire between them. Runs on both runtimes."""

from fakes import Cloud, Service
from keeper.errors import CloudError

TOKEN = "TOKEN-of-the_vendor"
THING = "a" * 32


class DmsService(Service):
    """The server's side: one token, the device that it buys a credential, the products that its user has access to."""

    def __init__(self, token=TOKEN):
        super().__init__()
        self.token = token
        self.spent = False
        self.uuid = None
        self.offered = None
        self.credential = None
        self.claimed = True
        self.products = ("thermometer", "lamp")
        self.product = None
        self._offers = 0

    def provision(self, token, uuid):
        if token != self.token:
            raise CloudError(403, "token_unknown", "unknown")
        if self.spent:
            raise CloudError(409, "token_acknowledged", "spent")
        self._offers += 1
        self.offered = "CREDENTIAL%d" % self._offers
        self.uuid = uuid
        return self.offered

    def acknowledge(self, credential):
        if credential is not None and credential == self.offered:
            self.credential, self.offered, self.spent = credential, None, True
        self.check(credential)

    def check(self, credential):
        if credential is None or credential != self.credential:
            raise CloudError(401, "unauthorized", "credential missing or wrong")

    def activate(self, product_code):
        if product_code not in self.products:
            raise CloudError(404, "not_found", "no such product")
        if not self.claimed:
            raise CloudError(403, "not_claimed", "nobody has claimed this device")
        if self.product != product_code:
            self.product, self.current_id = product_code, None
        self.thing, self.name = THING, self.name or "Thermometer 2"
        return {"product": product_code, "name": "A product", "thing": THING, "version": None}

    def replace_token(self, token):
        """The vendor makes another one for this device."""
        self.token, self.spent = token, False


class DmsCloud(Cloud):
    """A driver for a DmsService, with the verbs of `keeper.services.gecko_dms.wire`."""

    def __init__(self, service):
        super().__init__(service)
        self.credential = None

    def use(self, credential):
        self.credential = credential

    def provision(self, token, uuid):
        return self.service.arrive("provision", lambda: self.service.provision(token, uuid))

    def acknowledge(self):
        self.service.arrive("acknowledge", lambda: self.service.acknowledge(self.credential))

    def activate(self, product_code):
        def activated():
            self.service.check(self.credential)
            return self.service.activate(product_code)

        return self.service.arrive("activate", activated)

    def _call(self, verb, action):
        def authorised():
            self.service.check(self.credential)
            if self.service.product is None:
                raise CloudError(409, "not_activated", "not activated to a product yet")
            return action()

        return self.service.arrive(verb, authorised)
