"""Sockets and TLS of a board on CPython take the memory that they have on a chip: granted, refused and given back.

What the shim's `_simsocket` and `_simssl` are on MicroPython. Knows streams only by their methods; `memory` is the
shim's account of the board (`_simmemory`).
"""

from __future__ import annotations

import errno
import socket
import ssl
import weakref
from collections.abc import Callable
from types import ModuleType
from typing import Any

from thermokeeper.simulator.on_cpython.streams import WOULD_BLOCK, Socket, SSLContext, TlsSocket

_ENOBUFS = 105
_NO_ANSWER, _NO_MEMORY = -202, -203  # EAI_FAIL, EAI_MEMORY of lwIP
_NOT_SIGNED = "The certificate is not correctly signed by the trusted CA\n"  # whatever of it found no memory


def account(modules: dict[str, ModuleType], memory: Any, opened: Any, ntp: Any) -> None:
    """Let these modules (`streams.modules`) ask `memory`; TLS connections are added to the set `opened`.

    ntp: the shim's `_simntp`.
    """
    vars(modules["socket"]).update(
        socket=_stream_or_ntp(_socket(modules["socket"].socket, memory), ntp),
        getaddrinfo=_lookup(modules["socket"].getaddrinfo, memory),
    )
    vars(modules["ssl"]).update(SSLContext=_context(memory, opened))


def _stream_or_ntp(stream: type[Socket], ntp: Any) -> Callable[..., Any]:
    def made(*arguments: int) -> Any:
        return ntp.Asked() if arguments[1:2] == (socket.SOCK_DGRAM,) else stream(*arguments)

    return made


def _lookup(getaddrinfo: Callable[..., list[Any]], memory: Any) -> Callable[..., list[Any]]:
    def look_up(host: str, port: int, *more: int) -> list[Any]:
        found = getaddrinfo(host, port, *more)
        if not memory.room_for_an_address():
            raise OSError(_NO_MEMORY if host.replace(".", "").isdigit() else _NO_ANSWER, "no memory")
        return found

    return look_up


def _socket(base: type[Socket], memory: Any) -> type[Socket]:
    class AccountedSocket(base):  # type: ignore[misc, valid-type]
        def __init__(self, *arguments: int) -> None:
            if not memory.open_socket(id(self)):
                raise OSError(_ENOBUFS, "ENOBUFS")
            self._give_back = weakref.finalize(self, memory.close_socket, id(self))
            super().__init__(*arguments)

        def close(self) -> None:
            self._give_back()
            self.raw.close()

        def __exit__(self, *error: object) -> None:
            self.close()

    return AccountedSocket


def _context(memory: Any, opened: Any) -> type[SSLContext]:
    class AccountedContext(SSLContext):
        def __init__(self, protocol: int) -> None:
            self._held = memory.new_context()
            if self._held is None:
                raise OSError(errno.ENOMEM, "ENOMEM")
            weakref.finalize(self, setattr, self._held, "dropped", True)
            super().__init__(protocol)

        def load_verify_locations(self, cafile: str | None = None, cadata: Any = None) -> None:
            if not memory.trust(self._held):
                raise ValueError("invalid cert")
            super().load_verify_locations(cafile, cadata)

        def wrap_socket(self, sock: Socket, **options: Any) -> TlsSocket:
            held = memory.secure_socket(id(sock))
            if held is None:
                raise OSError(errno.ENOMEM, "ENOMEM")
            shaken = options.get("do_handshake_on_connect", True)
            try:
                if shaken and not memory.shake_hands(held):
                    raise ValueError(_NOT_SIGNED)
                stream = _AccountedTls(super().wrap_socket(sock, **options).raw, memory, held, shaken)
            except BaseException:
                memory.release(held)
                raise
            opened.add(stream)
            return stream

    return AccountedContext


class _AccountedTls(TlsSocket):
    def __init__(self, raw: ssl.SSLSocket, memory: Any, held: Any, shaken: bool) -> None:
        super().__init__(raw)
        self._memory = memory
        self._held = held
        self._shaken = shaken  # whether there was memory for the handshake
        self._open = shaken  # whether anything has come through
        weakref.finalize(self, setattr, held, "dropped", True)

    def _get(self, view: memoryview) -> int:
        return self._do(super()._get, view)

    def _put(self, view: memoryview) -> int:
        return self._do(super()._put, view)

    def _do(self, step: Callable[[memoryview], int], view: memoryview) -> int:
        try:
            if not self._shaken and not self._memory.shake_hands(self._held):
                raise ValueError(_NOT_SIGNED)
            self._shaken = True
            count = step(view)
        except WOULD_BLOCK:
            raise
        except (OSError, ValueError):
            if not self._open:
                self._memory.release(self._held)  # a handshake that fails frees what it had
            raise
        self._open = True
        return count

    def close(self) -> None:
        self._memory.release(self._held)
        super().close()
