"""`ssl` of the simulated board on MicroPython: the host's, with the memory that contexts and connections have.

Objects of Python classes have no finaliser here, and there are no weak references. So each keeps a stream of the
host's TLS, which has one: when the collector finds it, it closes what it lies on, a `_Grave`, and so tells.
"""

import errno
import io
import ssl as _host
from ssl import *  # noqa: F403

import _sim

_CLOSE, _FILENO = 4, 10  # operations on a stream
NOT_SIGNED = "The certificate is not correctly signed by the trusted CA\n"  # whatever of it found no memory

_spare = _host.SSLContext(_host.PROTOCOL_TLS_CLIENT)
_spare.verify_mode = _host.CERT_NONE


class _Grave(io.IOBase):
    def __init__(self, held):
        self._held = held

    def ioctl(self, operation, argument):
        if operation == _CLOSE:
            self._held.dropped = True  # the collector is at work: nothing may be allocated
        return 0

    def readinto(self, buffer):
        return 0

    def write(self, data):
        return len(data)


def _teller(held):
    """Something to keep: once nobody can reach it, `held` is dropped."""
    held.grave = _Grave(held)
    return _spare.wrap_socket(held.grave, do_handshake_on_connect=False)


class SSLContext(_host.SSLContext):
    def __init__(self, protocol):
        self._held = _sim.board().memory.new_context()
        if self._held is None:
            raise OSError(errno.ENOMEM)
        self._teller = _teller(self._held)
        super().__init__(protocol)

    def load_verify_locations(self, cafile=None, cadata=None):
        if not _sim.board().memory.trust(self._held):
            raise ValueError("invalid cert")
        super().load_verify_locations(cafile=cafile, cadata=cadata)

    def wrap_socket(self, sock, server_side=False, do_handshake_on_connect=True, server_hostname=None):
        memory = _sim.board().memory
        held = memory.secure_socket(sock.fileno())
        if held is None:
            raise OSError(errno.ENOMEM)
        try:
            if do_handshake_on_connect and not memory.shake_hands(held):
                raise ValueError(NOT_SIGNED)
            stream = super().wrap_socket(
                sock,
                server_side=server_side,
                do_handshake_on_connect=do_handshake_on_connect,
                server_hostname=server_hostname,
            )
            return _Stream(stream, sock.fileno(), held, do_handshake_on_connect)
        except BaseException:
            memory.release(held)
            raise


class _Stream(io.IOBase):
    """A TLS connection; polled by its socket's number, as the host's own is."""

    def __init__(self, stream, number, held, shaken):
        self._stream = stream
        self._number = number
        self._held = held
        self._teller = _teller(held)
        self._shaken = shaken  # whether there was memory for the handshake
        self._open = shaken  # whether anything has come through

    def _do(self, method, *arguments):
        memory = _sim.board().memory
        try:
            if not self._shaken and not memory.shake_hands(self._held):
                raise ValueError(NOT_SIGNED)
            self._shaken = True
            done = method(*arguments)
        except (OSError, ValueError):
            if not self._open:
                memory.release(self._held)  # a handshake that fails frees what it had
            raise
        self._open = self._open or done is not None
        return done

    def read(self, *size):
        return self._do(self._stream.read, *size)

    def readinto(self, buffer, *size):
        return self._do(self._stream.readinto, buffer, *size)

    def readline(self, *size):
        return self._do(self._stream.readline, *size)

    def write(self, data, *limits):
        return self._do(self._stream.write, data, *limits)

    def close(self):
        _sim.board().memory.release(self._held)
        self._stream.close()

    def ioctl(self, operation, argument):
        if operation == _FILENO:
            return self._number
        if operation == _CLOSE:
            self.close()
        return 0

    def __getattr__(self, name):
        return getattr(self._stream, name)
