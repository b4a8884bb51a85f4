"""A TCP proxy on loopback that counts what passes, in both directions; for demos and measurements.

It understands nothing of what it carries.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from urllib.parse import urlsplit

_BLOCK_BYTES = 65536
_CONNECT_S = 10


class CountingProxy:
    """`with CountingProxy(url) as proxy:` listens on a free port, `proxy.url`, and passes everything on to `url`."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"{parts.scheme}://127.0.0.1:{self._listening.getsockname()[1]}"
        self.to_server_bytes = 0
        self.to_device_bytes = 0
        self.connections = 0
        self._lock = threading.Lock()

    def __enter__(self) -> CountingProxy:
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                device, _ = self._listening.accept()
            except OSError:
                return  # closed: the proxy has ended
            self.connections += 1
            threading.Thread(target=self._serve, args=(device,), name="proxied connection", daemon=True).start()

    def _serve(self, device: socket.socket) -> None:
        with device:
            try:
                server = socket.create_connection(self._target, _CONNECT_S)
            except OSError:
                return  # the device sees a closed connection, as it would without a proxy
            with server:
                server.settimeout(None)
                back = threading.Thread(target=self._copy, args=(server, device, False), daemon=True)
                back.start()
                self._copy(device, server, True)
                back.join()

    def _copy(self, source: socket.socket, sink: socket.socket, upwards: bool) -> None:
        # An end of one direction is passed on; a broken one ends both.
        with contextlib.suppress(OSError):
            while data := source.recv(_BLOCK_BYTES):
                with self._lock:
                    if upwards:
                        self.to_server_bytes += len(data)
                    else:
                        self.to_device_bytes += len(data)
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
