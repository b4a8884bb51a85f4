"""GadgetKeeper over REST and JSON: the provisioning calls of a thing, its firmware and its datapoints.

The server's OpenAPI page is the contract. Must not know flash, NVS, or what the calls are for.
"""

import json

from keeper.address import is_plain
from keeper.clouds.answers import check_status, checked_id, object_of
from keeper.clouds.firmware import RawRelease, TextRelease, release_stream
from keeper.clouds.version import Version
from keeper.errors import CloudError, NetError

_ANSWER_LIMIT = 4096
_KEY_LIMIT = 128
_POINTS_LIMIT = 256  # in one report; its body stays below 20 KB
_STAMP_LIMIT = 40
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
        """A new key for this serial, {"key", "thing"}; the server drops the old one."""
        answer = self._call("POST", "/provision/activate.json", {"serialNumber": identity.serial}, auth=None)
        answer = object_of(answer)
        return {"key": _checked_key(answer.get("apiKey")), "thing": checked_id(answer.get("thingId"), "thing")}

    def use(self, credentials):
        """Speak as this thing from now on; credentials as `activate` gives them, NetError if they aren't."""
        thing, key = checked_id(credentials["thing"], "thing"), _checked_key(credentials["key"])
        self._thing, self._auth = thing, ("X-ApiKey", key)

    def rename(self, name):
        """Name the thing; CloudError 400 if the server doesn't allow the name."""
        self._call("PUT", self._of_thing(".json"), {"name": name}, self._auth)

    def target(self):
        """The Version that this thing should run, or None while none is set."""
        return _version(self._call("GET", self._of_thing("/target-version.json"), None, self._auth))

    def current(self):
        """The Version that the server believes it runs, or None."""
        return _version(self._call("GET", self._of_thing("/version.json"), None, self._auth))

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
        with self._open("POST", path, {}, _points(points), self._auth) as response:
            # 204 and nothing else: a hotel's log-in page says 200 to everything, and the readings would be lost.
            check_status(response, (204,))

    def open_release(self, version_id, offset=0, etag=None, size=None):
        """Stream of a version's firmware, from `offset` on if the server can and `etag` still holds; `size` bytes of it
        are wanted, or all."""
        path = "/versions/%s/firmware" % checked_id(version_id, "version")
        if self._raw:
            if not etag or etag.startswith("W/"):
                offset = 0  # it can't be told whether the firmware is still the same
            response = self._open_raw(path, offset, etag, size)
            if response.status == 416 and offset:  # it is shorter now: another one
                response.close()
                offset = 0
                response = self._open_raw(path, offset, None, size)
            if response.status not in (404, 405, 501):
                return release_stream(RawRelease, response, offset, size)
            response.close()
        stream = release_stream(TextRelease, self._open("GET", path + ".json", {}, None, self._auth))
        self._raw = False  # this server has no .bin: not asked again
        return stream

    def _open_raw(self, path, offset, etag, size):
        headers = {}
        if offset or size:
            headers["Range"] = "bytes=%d-%s" % (offset, offset + size - 1 if size else "")
        if offset:
            headers["If-Range"] = etag
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


def _checked_key(key):
    if not isinstance(key, str) or not 0 < len(key) <= _KEY_LIMIT or not is_plain(key) or " " in key:
        raise NetError("no usable apiKey")
    return key


def _version(answer):
    if answer is None:
        return None
    answer = object_of(answer)
    version_id = checked_id(answer.get("id"), "version")
    return Version(version_id, answer.get("name"), answer.get("description"), answer.get("release"))


def _points(points):
    """JSON of datapoints; refused here, as the server would, if there are too many or one is no number."""
    if len(points) > _POINTS_LIMIT:
        raise CloudError(413, "", "more than %d datapoints in one report" % _POINTS_LIMIT)
    pieces = []
    for value, at in points:
        if not isinstance(value, (int, float)) or value != value or value in (float("inf"), float("-inf")):
            raise CloudError(400, "", "a datapoint isn't a number")
        point = {"value": value}
        if at is not None:
            point["at"] = at[:_STAMP_LIMIT]
        pieces.append(json.dumps(point))
    return ("[" + ",".join(pieces) + "]").encode()
