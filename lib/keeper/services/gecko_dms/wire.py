"""Gecko OS DMS over HTTPS and MessagePack: what a device calls all the time, with the credential that it was given.

The other calls are in `joining` and `changing`. The server's page is the contract. Must not know flash, NVS, or what
the calls are for.
"""

from keeper.errors import CloudError, NetError
from keeper.phases import forget
from keeper.services.answers import check_status, checked_id, checked_key, checked_points, version_of

_ANSWER_LIMIT = 4096


def told(response, limit):
    """What an answer in MessagePack says."""
    from keeper.services.gecko_dms import packing

    try:
        return packing.loads(response.body(limit), limit)
    except ValueError as error:
        raise NetError("the answer isn't MessagePack: %s" % error)


class DmsWire:
    """client: `http.Client`. server: `http[s]://host[:port]`."""

    def __init__(self, client, server):
        self.auth = None
        self._client = client
        self._base = server.rstrip("/") + "/dms/v1"

    def use(self, credential):
        """Speak with this credential from now on, or with none; NetError if it can't be one."""
        self.auth = ("Authorization", "Bearer " + checked_key(credential, "credential")) if credential else None

    def target(self):
        """The Version that a device of this product should run, or None while none is set."""
        return version_of(self.call("GET", "/firmware", None, (200, 204), self.known()))

    def report(self, event, points):
        """Deliver datapoints of an event: [(value, time as the server writes it, or None), ...]."""
        # 204 and nothing else: a hotel's log-in page says 200 to everything, and the readings would be lost.
        self.call("POST", "/events/" + checked_id(event, "event"), checked_points(points), (204,), self.known())

    def __getattr__(self, verb):
        """The verbs that only a phase needs, from its own module."""
        if verb in ("provision", "acknowledge", "activate", "rename"):
            from keeper.services.gecko_dms import joining

            do = joining.call
        elif verb in ("current", "confirm", "failed", "open_release"):
            from keeper.services.gecko_dms import changing

            do = changing.do
        else:
            raise AttributeError(verb)
        return lambda *more: do(verb, self, *more)

    def rest(self):
        """Forget what was loaded for a phase."""
        forget(
            "keeper.services.gecko_dms.joining",
            "keeper.services.gecko_dms.changing",
            "keeper.services.gecko_dms.packing",
        )

    # what those verbs are made of

    def known(self):
        """The header that says who calls; CloudError while there is none."""
        if not self.auth:
            raise CloudError(401, "", "not provisioned yet")
        return self.auth

    def call(self, method, path, content, expected, auth):
        """What the answer says; None for 204."""
        body = None if method == "GET" else b"" if content is None else _packed(content)
        headers = {"Accept": "application/msgpack"}
        if body is not None:
            headers["Content-Type"] = "application/msgpack"
        with self.open(method, path, headers, body, auth) as response:
            check_status(response, expected, told)
            return None if response.status == 204 else told(response, _ANSWER_LIMIT)

    def open(self, method, path, headers, body, auth):
        """The Response to a request."""
        return self._client.open(method, self._base + path, headers, body, auth)


def _packed(content):
    from keeper.services.gecko_dms import packing

    return packing.dumps(content)
