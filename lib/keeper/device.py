"""Who this board is: what of its factory record stays in memory. `board.identity` reads and checks the record."""


class Device:
    """serial, product, service, server: text, never empty; server is `http[s]://host[:port]`, no slash at its end.

    extra: dict, what else the record has: settings of the product, CA certificate, secret, ...
    """

    def __init__(self, serial, product, service, server, extra):
        self.serial = serial
        self.product = product
        self.service = service
        self.server = server
        self.extra = extra

    def keep(self, *names):
        """Forget all but these of `extra`: a certificate alone takes 2 KB."""
        self.extra = {name: self.extra[name] for name in names if name in self.extra}
