"""One TCP connection, plain or TLS, whose every wait is short, watched by the product's pulse, and bounded.

The socket never blocks: data is taken at once if it is there, and only else there is a poll, of at most 200 ms, with
a pulse before it. Resolving a name is the one exception: `getaddrinfo` blocks for as long as the name server lets it
(on the ESP32 up to some 15 s), so the watchdog's limit has to be above that. This module must not know HTTP.
"""

import errno
import gc
import select
import socket
import time

from keeper import memory, phases
from keeper.errors import NetError
from keeper.talking.names import forget, look_up


class CutError(NetError):
    """The connection broke; what the server sent before that may still be there to read."""


class Wire:
    """An open connection; `connect` makes it. Close it always: TLS keeps some 24 KB of memory until then."""

    def __init__(self, peer, patience):
        self.peer = peer
        self.patience = patience
        self._socket = None
        self._stream = None
        self._poll = None
        self._mask = 0
        self._shaking_hands = False
        self._short = ""  # what memory a handshake lacked

    def reach(self, address):
        """Connect to an address as getaddrinfo gives it."""
        try:
            self._socket = socket.socket(address[0], address[1], address[2])
            self._stream = self._socket
            self._socket.setblocking(False)
            try:
                self._socket.connect(address[-1])
            except OSError as error:
                if error.errno != errno.EINPROGRESS:
                    raise
            self._watch(select.POLLOUT)
        except OSError as error:
            raise self._trouble(error)
        since = time.ticks_ms()
        events = 0
        while not events:
            events = self._wait(select.POLLOUT, since)
        if events & (select.POLLERR | select.POLLHUP):
            self._raise_pending()

    def secure(self, context, host):
        """Put TLS on the connection; the handshake itself is part of the first write."""
        self._short = memory.lack(memory.TLS)
        try:
            self._stream = context.wrap_socket(self._socket, do_handshake_on_connect=False, server_hostname=host)
            self._watch(select.POLLIN)
        except (OSError, ValueError, MemoryError) as error:
            raise self._trouble(error)
        self._shaking_hands = True

    def write(self, data):
        """Send all of it. CutError if the server doesn't take it: it may have answered already."""
        view = memoryview(data)
        done = 0
        since = time.ticks_ms()
        while done < len(view):
            count = self._try_write(view[done:])
            if count is None:
                # What holds a handshake up is nearly always the server's part of it.
                self._wait(select.POLLIN if self._shaking_hands else select.POLLOUT, since)
            else:
                self._shaking_hands = False
                self._short = ""
                self.patience.moved += count
                done += count
                since = time.ticks_ms()

    def readinto(self, buf):
        """Wait until there is something, and take what is there; 0 when the server has closed."""
        count = self._try_read(buf)
        if count is None:
            since = time.ticks_ms()
            while count is None:
                self._wait(select.POLLIN, since)
                count = self._try_read(buf)
        return count

    def close(self):
        """Close both the TLS object, which a failed handshake leaves without its socket, and the socket."""
        inner = self._socket if self._socket is not self._stream else None
        for stream in (self._stream, inner):
            if stream is not None:
                try:
                    stream.close()
                except OSError:
                    pass  # broken already: there is nothing left to free
        self._stream = self._socket = self._poll = None

    def _try_read(self, buf):
        try:
            return self._stream.readinto(buf)
        except (OSError, ValueError, MemoryError) as error:
            raise self._trouble(error)

    def _try_write(self, view):
        try:
            return self._stream.write(view)
        except (OSError, ValueError, MemoryError) as error:
            raise self._trouble(error)

    def _watch(self, mask):
        self._poll = select.poll()
        self._poll.register(self._stream, mask)
        self._mask = mask

    def _wait(self, mask, since):
        """Poll once; the events, 0 for none yet."""
        limit_ms = self.patience.slice_ms(since, self.peer)
        try:
            if mask != self._mask:
                self._poll.modify(self._stream, mask)
                self._mask = mask
            ready = self._poll.poll(limit_ms)
        except OSError as error:
            raise self._trouble(error)
        return ready[0][1] if ready else 0

    def _raise_pending(self):
        try:
            self._socket.recv(1)
        except OSError as error:
            raise self._trouble(error)
        raise CutError("%s cut the connection" % self.peer)

    def _trouble(self, error):
        """The NetError that says what went wrong; CutError if the connection broke."""
        from keeper import explaining

        try:
            secure = self._stream is not self._socket
            is_cut, text = explaining.do("trouble", error, self.peer, secure, self._short)
        except MemoryError:
            is_cut, text = False, "not enough memory for a connection with %s" % self.peer
        finally:
            phases.forget("keeper.explaining")
        return CutError(text) if is_cut else NetError(text)


def connect(host, port, context, patience):
    """Wire to host:port, with TLS if there is a context; NetError says why not. Blocks while the name is resolved."""
    gc.collect()  # what an earlier TLS connection left behind is memory that this one needs
    patience.pulse()
    addresses = look_up(host, port)
    # lwIP that has no memory left says that there is no such name
    short = "" if addresses else memory.lack(memory.PLAIN)
    trouble = NetError("can't resolve the name %s%s" % (host, "; " + short if short else ""))
    for address in addresses:
        wire = Wire("%s:%d" % (host, port), patience)
        try:
            wire.reach(address)
            if context:
                wire.secure(context, host)
            return wire
        except NetError as error:
            wire.close()
            trouble = error
        except BaseException:  # of the pulse
            wire.close()
            raise
    forget()  # perhaps it has moved
    raise trouble
