"""Sockets, TLS and polling on CPython in the form in which MicroPython has them.

The stream methods read, readinto and write: None where they would block, otherwise as much as there was; on a
blocking stream they go on until all is done. Knows nothing of a board: `linked` tells whether there is a network.
"""

from __future__ import annotations

import select
import socket
import ssl
import weakref
from collections.abc import Callable
from types import ModuleType
from typing import Any

from thermokeeper.simulator.on_cpython.deflateio import DeflateIO

WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class _Stream:
    """MicroPython's stream methods over `_get(view)` and `_put(view)`."""

    def _get(self, view: memoryview) -> int:
        raise NotImplementedError

    def _put(self, view: memoryview) -> int:
        raise NotImplementedError

    def readinto(self, buffer: Any, size: int | None = None) -> int | None:
        view = memoryview(buffer).cast("B")
        view = view[: len(view) if size is None else size]
        return self._all(self._get, view)

    def read(self, size: int = -1) -> bytes | None:
        if size is None or size < 0:
            parts = []
            while part := self.read(4096):
                parts.append(part)
            return None if part is None and not parts else b"".join(parts)
        buffer = bytearray(size)
        count = self.readinto(buffer)
        return None if count is None else bytes(buffer[:count])

    def readline(self) -> bytes | None:
        line = bytearray()
        while not line.endswith(b"\n"):
            byte = self.read(1)
            if not byte:
                return None if byte is None and not line else bytes(line)
            line += byte
        return bytes(line)

    def write(self, data: Any, *limits: int) -> int | None:
        view = memoryview(data).cast("B")
        if limits:
            view = view[limits[0] if len(limits) > 1 else 0 :][: limits[-1]]
        return self._all(self._put, view)

    @staticmethod
    def _all(step: Callable[[memoryview], int], view: memoryview) -> int | None:
        done = 0
        while done < len(view):
            try:
                count = step(view[done:])
            except WOULD_BLOCK:
                return done or None
            except TimeoutError:
                if done:
                    return done
                raise OSError(110) from None
            if not count:
                break
            done += count
        return done


class Socket(_Stream):
    """`socket.socket` as MicroPython has it."""

    def __init__(self, family: int = socket.AF_INET, kind: int = socket.SOCK_STREAM, protocol: int = 0) -> None:
        self.raw = socket.socket(family, kind, protocol)

    def _get(self, view: memoryview) -> int:
        return self.raw.recv_into(view)

    def _put(self, view: memoryview) -> int:
        return self.raw.send(view)

    def accept(self) -> tuple[Socket, Any]:
        raw, address = self.raw.accept()
        accepted = Socket.__new__(Socket)
        accepted.raw = raw
        return accepted, address

    def makefile(self, mode: str = "rb", buffering: int = 0) -> Socket:
        return self

    def __getattr__(self, name: str) -> Any:
        if name in (
            "bind",
            "close",
            "connect",
            "fileno",
            "listen",
            "recv",
            "recvfrom",
            "send",
            "sendall",
            "sendto",
        ) or (name in ("setblocking", "settimeout", "setsockopt")):
            return getattr(self.raw, name)
        raise AttributeError(name)

    def __enter__(self) -> Socket:
        return self

    def __exit__(self, *error: object) -> None:
        self.raw.close()

    def _buffered(self) -> bool:
        return False


class TlsSocket(_Stream):
    """What `SSLContext.wrap_socket` gives: a stream and nothing else."""

    def __init__(self, raw: ssl.SSLSocket) -> None:
        self.raw = raw

    def _get(self, view: memoryview) -> int:
        try:
            return self.raw.recv_into(view)
        except ssl.SSLEOFError:
            return 0

    def _put(self, view: memoryview) -> int:
        return self.raw.send(view)

    def close(self) -> None:
        self.raw.close()

    def setblocking(self, flag: bool) -> None:
        self.raw.setblocking(flag)

    def getpeercert(self, binary: bool = False) -> Any:
        return self.raw.getpeercert(binary)

    def cipher(self) -> Any:
        return self.raw.cipher()

    def fileno(self) -> int:
        return self.raw.fileno()

    def _buffered(self) -> bool:
        return self.raw.fileno() >= 0 and self.raw.pending() > 0


class SSLContext:
    """`ssl.SSLContext`, with certificates given as bytes (DER)."""

    def __init__(self, protocol: int) -> None:
        self._context = ssl.SSLContext(protocol)

    @property
    def verify_mode(self) -> int:
        return self._context.verify_mode

    @verify_mode.setter
    def verify_mode(self, mode: int) -> None:
        if mode != ssl.CERT_REQUIRED:
            self._context.check_hostname = False
        self._context.verify_mode = ssl.VerifyMode(mode)

    def load_verify_locations(self, cafile: str | None = None, cadata: Any = None) -> None:
        if isinstance(cafile, (bytes, bytearray, memoryview)):
            cafile, cadata = None, cafile
        if cafile is not None:
            raise OSError(2)  # it would be a file of the board
        try:
            # PEM is refused as unix MicroPython refuses it: DER is what works on every board.
            self._context.load_verify_locations(cadata=bytes(cadata))
        except ssl.SSLError as error:
            raise ValueError("invalid cert") from error

    def load_cert_chain(self, certfile: str, keyfile: str | None = None) -> None:
        self._context.load_cert_chain(certfile, keyfile)

    def wrap_socket(
        self,
        sock: Socket,
        *,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        server_hostname: str | None = None,
    ) -> TlsSocket:
        return TlsSocket(
            self._context.wrap_socket(
                sock.raw,
                server_side=server_side,
                do_handshake_on_connect=do_handshake_on_connect,
                server_hostname=server_hostname,
            )
        )


class Poll:
    """`select.poll`: tells the objects themselves; data that TLS has decrypted already counts as readable."""

    def __init__(self) -> None:
        self._objects: dict[int, tuple[Any, int]] = {}
        self._poll = select.poll()

    def register(self, stream: Any, mask: int = select.POLLIN | select.POLLOUT) -> None:
        number = stream if isinstance(stream, int) else stream.fileno()
        self._poll.register(number, mask)
        self._objects[number] = (stream, mask)

    modify = register

    def unregister(self, stream: Any) -> None:
        for number, (other, _) in list(self._objects.items()):
            if other is stream:
                del self._objects[number]
                try:
                    self._poll.unregister(number)
                except KeyError:
                    pass  # never registered with this number: as good as gone

    def poll(self, timeout_ms: int = -1) -> list[tuple[Any, int]]:
        ready = [
            (stream, select.POLLIN)
            for stream, mask in self._objects.values()
            if mask & select.POLLIN and getattr(stream, "_buffered", bool)()
        ]
        if ready:
            timeout_ms = 0
        seen = {id(stream) for stream, _ in ready}
        for number, mask in self._poll.poll(timeout_ms):
            stream = self._objects[number][0]
            if id(stream) not in seen:
                ready.append((stream, mask))
        return ready

    def ipoll(self, timeout_ms: int = -1, flags: int = 0) -> Any:
        return iter(self.poll(timeout_ms))


class Unwatched:
    """What `modules` asks of a board's hardware (the shim's `_sim.Board`), for streams that no board is behind."""

    virtual = False

    def alive(self) -> None:
        """Nothing ends here."""

    def connect(self) -> None:
        """A socket is opened."""

    def waiting(self, look: Callable[[int], list[Any]]) -> None:
        """There is no virtual time to wait in."""


def modules(
    linked: Callable[[], bool] = lambda: True, board: Any = None, opened: Any = None, ntp: Any = None
) -> dict[str, ModuleType]:
    """The modules socket, ssl, select and deflate of one board; sockets are added to the set `opened`.

    ntp: the shim's `_simntp`, whose socket answers in place of UDP.
    """
    board = board or Unwatched()
    opened = weakref.WeakSet() if opened is None else opened

    class BoardSocket(Socket):
        def __init__(self, *arguments: int) -> None:
            if not linked():
                raise OSError(118)  # no route; a chip says so a moment later, of connect
            board.connect()
            super().__init__(*arguments)
            opened.add(self)

    class BoardContext(SSLContext):
        def wrap_socket(self, sock: Socket, **options: Any) -> TlsSocket:
            wrapped = super().wrap_socket(sock, **options)
            opened.add(wrapped)
            return wrapped

    class BoardPoll(Poll):
        def __init__(self) -> None:
            super().__init__()
            self._waiting = board.waiting(super().poll)

        def poll(self, timeout_ms: int = -1) -> list[tuple[Any, int]]:
            if not board.virtual or not timeout_ms:
                return super().poll(timeout_ms)
            found: list[tuple[Any, int]] = self._waiting.ready(
                timeout_ms, any(isinstance(stream, _Stream) for stream, _ in self._objects.values())
            )
            return found

    def getaddrinfo(host: str, port: int, *more: int) -> list[Any]:
        board.alive()
        if not linked():
            raise OSError(118 if host.replace(".", "").isdigit() else -202)
        if ntp and more[1:2] == (socket.SOCK_DGRAM,):
            return list(ntp.addresses(host, port, more[1]))
        try:
            return socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)
        except socket.gaierror:
            raise OSError(-202) from None

    return {
        "socket": module_of(
            "socket",
            {
                name: getattr(socket, name)
                for name in (
                    "AF_INET",
                    "AF_INET6",
                    "SOCK_STREAM",
                    "SOCK_DGRAM",
                    "SOL_SOCKET",
                    "SO_REUSEADDR",
                    "IPPROTO_TCP",
                )
            }
            | {"socket": BoardSocket, "getaddrinfo": getaddrinfo},
        ),
        "ssl": module_of(
            "ssl",
            {
                name: getattr(ssl, name)
                for name in (
                    "CERT_NONE",
                    "CERT_OPTIONAL",
                    "CERT_REQUIRED",
                    "PROTOCOL_TLS_CLIENT",
                    "PROTOCOL_TLS_SERVER",
                )
            }
            | {"SSLContext": BoardContext},
        ),
        "select": module_of(
            "select",
            {name: getattr(select, name) for name in ("POLLIN", "POLLOUT", "POLLERR", "POLLHUP")} | {"poll": BoardPoll},
        ),
        "deflate": module_of("deflate", {"DeflateIO": DeflateIO, "AUTO": 0, "RAW": 1, "ZLIB": 2, "GZIP": 3}),
    }


def module_of(name: str, content: dict[str, Any]) -> ModuleType:
    """A module that holds this."""
    module = ModuleType(name)
    module.__dict__.update(content)
    return module
