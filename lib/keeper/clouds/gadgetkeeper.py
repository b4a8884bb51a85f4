"""GadgetKeeper over REST and JSON: the provisioning calls of a thing, its firmware and its datapoints.

The server's OpenAPI page is the contract. Must not know flash, NVS, or what the calls are for.
"""

import json

from keeper import proof
from keeper.clouds.answers import check_status, checked_id, checked_key, checked_points, object_of, version_of
from keeper.clouds.firmware import RawRelease, TextRelease, ask_raw, release_stream
from keeper.errors import CloudError

_ANSWER_LIMIT = 4096
_FAILURE_LIMIT = 300


class GadgetKeeper:
    """client: `http.Client`. server: `http[s]://host[:port]`. raw: False takes firmware as base64 in JSON only."""

    def __init__(self, client, server, raw=True):
        self._client = client
        self._base = server.rstrip("/") + "/v1"
        self._raw = raw
        self._auth = None
        self._thing = None

    def activate(self, identity):
        """A new key for this serial, {"key", "thing"}; the server drops the old one.

        A board whose factory record has a secret proves that it is the one with this serial.
        """
        wanted = {"serialNumber": identity.serial}
        secret = proof.secret_of(identity.extra)
        nonce = self._challenge(wanted) if secret else None
        if nonce:
            wanted["nonce"] = nonce
            wanted["proof"] = proof.answer(proof.key_of(secret), identity.serial, nonce)
        answer = object_of(self._call("POST", "/provision/activate.json", wanted, auth=None))
        return {"key": checked_key(answer.get("apiKey"), "apiKey"), "thing": checked_id(answer.get("thingId"), "thing")}

    def _challenge(self, wanted):
        """A nonce; None from a server that knows no proofs."""
        try:
            answer = object_of(self._call("POST", "/provision/challenge.json", wanted, auth=None))
        except CloudError as error:
            if error.status not in (404, 405):
                raise
            return None
        return checked_id(answer.get("nonce"), "nonce")

    def use(self, credentials):
        """Speak as this thing from now on; credentials as `activate` gives them, NetError if they aren't."""
        thing, key = checked_id(credentials["thing"], "thing"), checked_key(credentials["key"], "apiKey")
        self._thing, self._auth = thing, ("X-ApiKey", key)

    def rename(self, name):
        """Name the thing; CloudError 400 if the server doesn't allow the name."""
        self._call("PUT", self._of_thing(".json"), {"name": name}, self._auth)

    def target(self):
        """The Version that this thing should run, or None while none is set."""
        return version_of(self._call("GET", self._of_thing("/target-version.json"), None, self._auth))

    def current(self):
        """The Version that the server believes it runs, or None."""
        return version_of(self._call("GET", self._of_thing("/version.json"), None, self._auth))

    def confirm(self, version_id):
        """Tell the server that the thing runs this version."""
        object_of(self._call("PUT", self._of_thing("/version.json"), {"id": version_id}, self._auth))

    def failed(self, version_id, version, why):
        """Tell the server that a release was rolled back: the property `updateFailure` of the thing."""
        text = "%s (%s): %s" % (version, version_id, why)
        self._call(
            "PUT", self._of_thing("/properties/updateFailure/value.json"), {"value": text[:_FAILURE_LIMIT]}, self._auth
        )

    def report(self, event, points):
        """Deliver datapoints of an event: [(value, time as the server writes it, or None), ...]."""
        path = self._of_thing("/events/%s/datapoints.json" % checked_id(event, "event"))
        with self._open("POST", path, {}, _json_of(points), self._auth) as response:
            # 204 and nothing else: a hotel's log-in page says 200 to everything, and the readings would be lost.
            check_status(response, (204,))

    def open_release(self, version_id, offset=0, etag=None, size=None):
        """Stream of a version's firmware, from `offset` on if the server can and `etag` still holds; `size` bytes of it
        are wanted, or all."""
        path = "/versions/%s/firmware" % checked_id(version_id, "version")
        if self._raw:
            response, offset = ask_raw(lambda headers: self._ask_raw(path, headers), offset, etag, size)
            if response.status not in (404, 405, 501):
                return release_stream(RawRelease, response, offset, size)
            response.close()
        stream = release_stream(TextRelease, self._open("GET", path + ".json", {}, None, self._auth))
        self._raw = False  # this server has no .bin: not asked again
        return stream

    def _ask_raw(self, path, headers):
        return self._open("GET", path + ".bin", headers, None, self._auth)

    def _of_thing(self, rest):
        if not self._thing:
            raise CloudError(401, "", "not activated yet")
        return "/things/%s%s" % (self._thing, rest)

    def _call(self, method, path, content, auth):
        """JSON of the answer; None for 204."""
        body = None if content is None else json.dumps(content).encode()
        with self._open(method, path, {}, body, auth) as response:
            check_status(response, (200, 204))
            return None if response.status == 204 else response.json(_ANSWER_LIMIT)

    def _open(self, method, path, headers, body, auth):
        headers["Accept"] = "application/json" if path.endswith(".json") else "*/*"
        if body is not None:
            headers["Content-Type"] = "application/json"
        return self._client.open(method, self._base + path, headers, body, auth)


def _json_of(points):
    """The body of a report."""
    return ("[" + ",".join([json.dumps(point) for point in checked_points(points)]) + "]").encode()
