"""HTTP/1.1 requests for a device: deadlines on everything, verified TLS, bodies streamed or bounded, keys kept home.

One request is one connection (`Connection: close`). Must not know any service, nor what an answer means.
"""

from keeper import phases
from keeper.errors import NetError
from keeper.talking.address import Address, is_plain, printable
from keeper.talking.patience import Patience
from keeper.talking.response import Response
from keeper.talking.wire import CutError, connect

_REDIRECTS = 3
_JOIN_LIMIT = 2048  # a request's body up to this goes out together with its head

# What may follow a redirect to another server: nothing that could carry a key.
_HARMLESS = ("accept", "if-none-match", "if-range", "range", "user-agent")


class Client:
    """Opens requests. pulse: called at least every 250 ms while waiting (but see keeper.wire on names).

    ca: the certificates to trust for https, DER or PEM, or a list of such, None for the board's own; without any https
    is refused. idle_ms: the longest wait for the server's next sign of life. on_date: called with the Date header of
    every answer that has one.
    """

    def __init__(self, pulse, ca=None, idle_ms=10_000, on_date=None):
        self._pulse = pulse
        self._ca = ca
        self._idle_ms = idle_ms
        self._on_date = on_date
        self._context = None

    def open(self, method, url, headers=None, body=None, auth=None, deadline_ms=30_000):
        """Send a request and return the Response once its head is here, whatever its status; NetError if none comes.

        headers: dict. body: bytes-like or None. auth: (name, value) of a header for this very server: it is not sent
        anywhere else. deadline_ms: for all of it up to the head; a body may take a millisecond more for each byte.
        GET and HEAD follow up to 3 redirects, never from https to http.
        """
        patience = Patience(self._pulse, self._idle_ms, deadline_ms)
        headers = headers or {}
        target = Address(url)
        for _ in range(_REDIRECTS + 1):
            response = self._request(method, target, headers, body, auth, patience)
            if response.status not in (301, 302, 303, 307, 308):
                date = response.headers.get("date")
                if self._on_date and date:
                    self._on_date(date)
                return response
            response.close()
            from keeper import redirecting

            try:
                onward = redirecting.redirected(method, target, response.headers.get("location"))
            finally:
                phases.forget("keeper.redirecting")
            if not onward.same_server(target):
                auth = None  # for good: a way back home was laid by the other server
                headers = {name: headers[name] for name in headers if name.lower() in _HARMLESS}
            target = onward
        raise NetError("%s redirects more than %d times" % (target.server, _REDIRECTS))

    def _request(self, method, target, headers, body, auth, patience):
        head = _request_head(method, target, headers, body, auth)
        wire = connect(target.host, target.port, self._tls() if target.tls else None, patience)
        done = False
        try:
            response = Response(wire, method)
            _send(wire, head, body, response)
            response.read_head()
            done = True
            return response
        finally:
            if not done:
                wire.close()

    def _tls(self):
        if not self._context:
            from keeper import trusting

            try:
                ca = trusting.authorities() if self._ca is None else self._ca
                if not ca:
                    raise NetError("https needs a CA certificate to trust, and this device has none")
                self._context = trusting.trusting(ca)
            finally:
                phases.forget("keeper.trusting", "keeper.factory", "trust")
        return self._context


def _request_head(method, target, headers, body, auth):
    lines = ["%s %s HTTP/1.1" % (method, target.path), "Host: " + target.authority, "Connection: close"]
    if body is not None:
        lines.append("Content-Length: %d" % len(body))
    for name in headers:
        lines.append("%s: %s" % (name, headers[name]))
    if auth:
        lines.append("%s: %s" % auth)
    for line in lines:
        if not is_plain(line):
            raise NetError("a header has a character that can't be sent: %s" % printable(line.split(":")[0], 40))
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _send(wire, head, body, response):
    try:
        if body is not None and len(body) <= _JOIN_LIMIT:
            wire.write(head + bytes(body))
        else:
            wire.write(head)
            if body is not None:
                wire.write(body)
    except CutError:
        # A server may refuse a request that it hasn't read to its end; its answer says more than the broken pipe.
        if not response.peek():
            raise
