"""An HTTP server of a few lines that does exactly what a test's script says, good or nasty, in the client's own thread.

It runs from the client's pulse: `Client(server.pulse)` drives it, on CPython and on MicroPython, without threads.
A script is a list of connections; each is a list of acts, done in turn once the request is there:

    b"..."          send it
    DRIP(b"...")    send it, one byte for each pulse
    HOLD            do nothing more, and keep the connection open
    HANG_UP         close (also what happens after the last act)
    EARLY           as the first act: go on before the request has been read to its end

A connection beyond the script is closed at once, as by a server that crashes.
"""

import errno
import random
import socket

HOLD = ("hold",)
HANG_UP = ("hang up",)
EARLY = ("early",)

_WOULD_BLOCK = (errno.EAGAIN, errno.EINPROGRESS)


class DRIP:
    """Bytes that come one at a time."""

    def __init__(self, data):
        self.data = data


class Request:
    """What the server got: method, path, headers (lower-case names), body."""

    def __init__(self, data, end):
        lines = bytes(data[:end]).decode().split("\r\n")
        self.method, self.path, _ = lines[0].split(" ")
        self.headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(": ")
            self.headers[name.lower()] = value
        self.body = b""


class _Connection:
    def __init__(self, peer, acts):
        self.socket = peer
        self.socket.setblocking(False)
        self.acts = list(acts)
        self.got = bytearray()
        self.request = None
        self.complete = False
        self.sent = 0

    def step(self, requests):
        """False when it is over."""
        self._receive(requests)
        if self.acts and self.acts[0] is EARLY:
            self.acts.pop(0)
            self.complete = True
        if not self.complete:
            return True
        while self.acts:
            act = self.acts[0]
            if act is HOLD:
                return True
            if act is HANG_UP:
                break
            drips = isinstance(act, DRIP)
            data = act.data if drips else act
            self.sent += self._send(data[self.sent : self.sent + 1] if drips else memoryview(data)[self.sent :])
            if self.sent < len(data):
                return True
            self.acts.pop(0)
            self.sent = 0
        self.socket.close()
        return False

    def _receive(self, requests):
        while not self.complete:
            try:
                data = self.socket.recv(4096)
            except OSError as error:
                if error.errno not in _WOULD_BLOCK:
                    self.complete = True
                return
            if not data:
                return
            self.got.extend(data)
            if not self.request:
                end = self.got.find(b"\r\n\r\n")
                if end < 0:
                    continue
                self.request = Request(self.got, end)
                self.got = self.got[end + 4 :]
                requests.append(self.request)
            if len(self.got) >= int(self.request.headers.get("content-length", "0")):
                self.request.body = bytes(self.got)
                self.complete = True

    def _send(self, data):
        try:
            return self.socket.send(data)
        except OSError as error:
            if error.errno in _WOULD_BLOCK:
                return 0
            self.acts = [HANG_UP]
            return 0


class ScriptedServer:
    """Listens on loopback. port, url; requests: what came, in order; pulses: how often pulse was called."""

    def __init__(self, script, on_pulse=None):
        self.requests = []
        self.pulses = 0
        self._script = list(script)
        self._connections = []
        self._on_pulse = on_pulse
        self._listener, self.port = listen()
        self.url = "http://127.0.0.1:%d" % self.port

    def __enter__(self):
        return self

    def __exit__(self, error_type, error, trace):
        self.close()

    def close(self):
        for connection in self._connections:
            connection.socket.close()
        self._connections = []
        self._listener.close()

    def heard_end(self):
        """Whether the client has closed the connection that is being held."""
        try:
            return self._connections[0].socket.recv(1) == b""
        except OSError:
            return False

    def pulse(self):
        """Serve whoever is there, as far as it goes without waiting."""
        self.pulses += 1
        if self._on_pulse:
            self._on_pulse()
        try:
            peer = self._listener.accept()[0]
        except OSError as error:
            if error.errno not in _WOULD_BLOCK:
                raise
        else:
            self._connections.append(_Connection(peer, self._script.pop(0) if self._script else [EARLY, HANG_UP]))
        self._connections = [one for one in self._connections if one.step(self.requests)]


def listen():
    """(non-blocking listening socket, port); MicroPython can't ask which port 0 became, so one is tried for."""
    for _ in range(50):
        port = 20000 + random.randrange(40000)
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.bind(socket.getaddrinfo("127.0.0.1", port)[0][-1])
            listener.listen(5)
            listener.setblocking(False)
            return listener, port
        except OSError as error:
            listener.close()
            if error.errno != errno.EADDRINUSE:
                raise
    raise OSError(errno.EADDRINUSE)


def answer(status, body=b"", headers=()):
    """Bytes of an ordinary answer."""
    lines = ["HTTP/1.1 %s" % status, "Content-Length: %d" % len(body)]
    lines.extend(headers)
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body
