"""A program that serves http, in a process of its own: begun, waited for, ended."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

_START_S = 60
_END_S = 30


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


@contextmanager
def serving(command: Sequence[str | Path], url: str, log: Path, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """The process, once anything answers at `url`; both its outputs go to `log`. options: of Popen."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, **options)
    try:
        until_s = time.monotonic() + _START_S
        while True:
            try:
                httpx.get(url, timeout=5)
                break
            except httpx.TransportError:
                assert process.poll() is None and time.monotonic() < until_s, log.read_text()
                time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait(_END_S)
