"""Gecko OS DMS over HTTPS and MessagePack: the calls of a device, which speaks with the credential that it was given.

The server's page is the contract. Must not know flash, NVS, or what the calls are for: `gecko_dms` does.
"""

from keeper import msgpack
from keeper.clouds.answers import check_status, checked_id, checked_points, object_of, version_of
from keeper.clouds.dms_record import checked_credential
from keeper.clouds.firmware import RawRelease, ask_raw, release_stream
from keeper.errors import CloudError, NetError

_ANSWER_LIMIT = 4096
_VERSION_LIMIT = 64
_WHY_LIMIT = 300


def _told(response, limit):
    """What an answer in MessagePack says."""
    try:
        return msgpack.loads(response.body(limit), limit)
    except ValueError as error:
        raise NetError("the answer isn't MessagePack: %s" % error)


class DmsWire:
    """client: `http.Client`. server: `http[s]://host[:port]`."""

    def __init__(self, client, server):
        self._client = client
        self._base = server.rstrip("/") + "/dms/v1"
        self._auth = None

    def use(self, credential):
        """Speak with this credential from now on, or with none; NetError if it can't be one."""
        self._auth = ("Authorization", "Bearer " + checked_credential(credential)) if credential else None

    def provision(self, token, uuid):
        """A credential for this device: its text; it is to be acknowledged."""
        answer = object_of(self._call("POST", "/provision", {"token": token, "uuid": uuid}, (200,), None))
        if answer.get("uuid") != uuid:
            raise NetError("the answer is for another uuid")
        return checked_credential(answer.get("credential"))

    def acknowledge(self):
        """Tell the server that the credential is kept; may be repeated."""
        self._call("PUT", "/provision", None, (204,), self._known())

    def activate(self, product_code):
        """Make this a device of the product: the answer, a dict with `product` and `thing`, checked, and more."""
        answer = object_of(self._call("POST", "/activate", {"product_code": product_code}, (200,), self._known()))
        checked_id(answer.get("thing"), "thing")
        if answer.get("product") != product_code:
            raise NetError("the answer is for another product")
        return answer

    def rename(self, name):
        """Name the thing; CloudError 400 if the server doesn't allow the name."""
        self._call("PUT", "/thing", {"name": name}, (200,), self._known())

    def target(self):
        """The Version that a device of this product should run, or None while none is set."""
        return version_of(self._call("GET", "/firmware", None, (200, 204), self._known()))

    def current(self):
        """The Version that the server believes it runs, or None."""
        return version_of(self._call("GET", "/firmware/current", None, (200, 204), self._known()))

    def confirm(self, version_id):
        """Tell the server that the device runs this version."""
        self._call("PUT", "/firmware", {"id": version_id}, (204,), self._known())

    def failed(self, version_id, version, why):
        """Tell the server that a release was rolled back."""
        content = {"id": version_id, "version": version[:_VERSION_LIMIT], "why": why[:_WHY_LIMIT]}
        self._call("POST", "/firmware/failure", content, (204,), self._known())

    def report(self, event, points):
        """Deliver datapoints of an event: [(value, time as the server writes it, or None), ...]."""
        # 204 and nothing else: a hotel's log-in page says 200 to everything, and the readings would be lost.
        self._call("POST", "/events/" + checked_id(event, "event"), checked_points(points), (204,), self._known())

    def open_release(self, version_id, offset=0, etag=None, size=None):
        """Stream of a version's firmware, from `offset` on if the server can and `etag` still holds; `size` bytes of it
        are wanted, or all."""
        path = "/firmware/" + checked_id(version_id, "version")
        auth = self._known()
        response, offset = ask_raw(lambda headers: self._open("GET", path, headers, None, auth), offset, etag, size)
        return release_stream(RawRelease, response, offset, size, _told)

    def _known(self):
        if not self._auth:
            raise CloudError(401, "", "not provisioned yet")
        return self._auth

    def _call(self, method, path, content, expected, auth):
        """What the answer says; None for 204."""
        body = None if method == "GET" else b"" if content is None else msgpack.dumps(content)
        headers = {"Accept": "application/msgpack"}
        if body is not None:
            headers["Content-Type"] = "application/msgpack"
        with self._open(method, path, headers, body, auth) as response:
            check_status(response, expected, _told)
            return None if response.status == 204 else _told(response, _ANSWER_LIMIT)

    def _open(self, method, path, headers, body, auth):
        return self._client.open(method, self._base + path, headers, body, auth)
