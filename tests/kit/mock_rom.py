"""The bootloader in a chip's ROM, on a pseudo terminal, and the flash behind it: for the real esptool to talk to."""

from __future__ import annotations

import sys
import threading

from esp32_mock_bootloader import server as mock


class _Connection(mock.BootloaderConnection):  # type: ignore[misc]  # it comes without types
    """Waits for as long as esptool takes: a ROM doesn't give up after half a second of a busy host."""

    def __init__(self, terminal: mock.PtyMasterTransport, over: threading.Event) -> None:
        super().__init__(pty=terminal)
        self._over = over

    def recv(self, size: int) -> bytes:
        while True:
            try:
                return bytes(super().recv(size))
            except TimeoutError:
                if self._over.is_set():
                    raise


class Rom:
    """A chip that waits in its bootloader, its flash full of `fills`."""

    def __init__(self, chip: str, fills: int = 0) -> None:
        self.flash = mock.FlashImage()
        self.flash.data[:] = bytes([fills]) * len(self.flash.data)
        self._terminal = mock.PtyMasterTransport.create()
        self.path = self._terminal.client_path
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(chip,), daemon=True)
        self._thread.start()

    def _serve(self, chip: str) -> None:
        sys.settrace(None)  # a chip isn't measured: counting its bytes would take longer than moving them
        while not self._over.is_set():
            mock.handle_client(_Connection(self._terminal, self._over), self._over, chip, flash=self.flash)

    def close(self) -> None:
        self._over.set()
        self._thread.join(10)
        self._terminal.close()
