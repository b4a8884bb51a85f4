"""A port on loopback that can refuse connections for a while and stays ours meanwhile."""

from __future__ import annotations

import contextlib
import socket
import threading


class Door:
    """`accept` until `shut`; from `refuse` to `welcome` whoever connects is refused."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._lock = threading.Lock()
        self._welcoming = threading.Event()
        self._welcoming.set()
        self._over = False

    def accept(self) -> socket.socket | None:
        """The next connection; None once the door is shut."""
        while True:
            self._welcoming.wait()
            if self._over:
                return None
            with contextlib.suppress(OSError):  # refused or shut meanwhile
                return self._listening.accept()[0]

    @property
    def refuses(self) -> bool:
        return not self._welcoming.is_set()

    def refuse(self) -> None:
        """From now on; the port stays ours: bound, and nobody listens."""
        with self._lock:
            self._welcoming.clear()
            self._close()
            self._listening = socket.socket()
            self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listening.bind(("127.0.0.1", self.port))

    def welcome(self) -> None:
        """Accept connections again."""
        with self._lock:
            self._listening.listen()
            self._welcoming.set()

    def shut(self) -> None:
        """For good."""
        with self._lock:
            self._over = True
            self._close()
            self._welcoming.set()

    def _close(self) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listening.close()
