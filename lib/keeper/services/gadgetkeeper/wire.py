"""GadgetKeeper over REST and JSON: the calls that a thing makes all the time; the others are in `joining`, `changing`.

The server's OpenAPI page is the contract. Must not know flash, NVS, or what the calls are for.
"""

import json

from keeper.errors import CloudError
from keeper.phases import forget
from keeper.services.answers import check_status, checked_id, checked_key, checked_points, version_of

_ANSWER_LIMIT = 4096


class GadgetKeeper:
    """client: `http.Client`. server: `http[s]://host[:port]`. raw: False takes firmware as base64 in JSON only."""

    def __init__(self, client, server, raw=True):
        self.raw = raw
        self.auth = None
        self._client = client
        self._base = server.rstrip("/") + "/v1"
        self._thing = None

    def use(self, credentials):
        """Speak as this thing from now on; credentials as `activate` gives them, NetError if they aren't."""
        thing, key = checked_id(credentials["thing"], "thing"), checked_key(credentials["key"], "apiKey")
        self._thing, self.auth = thing, ("X-ApiKey", key)

    def target(self):
        """The Version that this thing should run, or None while none is set."""
        return version_of(self.call("GET", self.of_thing("/target-version.json"), None, self.auth))

    def report(self, event, points):
        """Deliver datapoints of an event: [(value, time as the server writes it, or None), ...]."""
        path = self.of_thing("/events/%s/datapoints.json" % checked_id(event, "event"))
        with self.open("POST", path, {}, _json_of(points), self.auth) as response:
            # 204 and nothing else: a hotel's log-in page says 200 to everything, and the readings would be lost.
            check_status(response, (204,))

    def __getattr__(self, verb):
        """The verbs that only a phase needs, from its own module."""
        if verb in ("activate", "rename"):
            from keeper.services.gadgetkeeper import joining

            do = joining.call
        elif verb in ("current", "confirm", "failed", "open_release"):
            from keeper.services.gadgetkeeper import changing

            do = changing.do
        else:
            raise AttributeError(verb)
        return lambda *more: do(verb, self, *more)

    def rest(self):
        """Forget what was loaded for a phase."""
        forget("keeper.services.gadgetkeeper.joining", "keeper.services.gadgetkeeper.changing")

    # what those verbs are made of

    def of_thing(self, rest):
        """The path of something that belongs to this thing."""
        if not self._thing:
            raise CloudError(401, "", "not activated yet")
        return "/things/%s%s" % (self._thing, rest)

    def call(self, method, path, content, auth):
        """JSON of the answer; None for 204."""
        body = None if content is None else json.dumps(content).encode()
        with self.open(method, path, {}, body, auth) as response:
            check_status(response, (200, 204))
            return None if response.status == 204 else response.json(_ANSWER_LIMIT)

    def open(self, method, path, headers, body, auth):
        """The Response to a request."""
        headers["Accept"] = "application/json" if path.endswith(".json") else "*/*"
        if body is not None:
            headers["Content-Type"] = "application/json"
        return self._client.open(method, self._base + path, headers, body, auth)


def _json_of(points):
    """The body of a report."""
    return ("[" + ",".join([json.dumps(point) for point in checked_points(points)]) + "]").encode()
