"""A board's console where its code runs on CPython: `sys.stdin`, `sys.stdout`, and what a person types."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any


class Output:
    """`sys.stdout`: whole lines go to the runner."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._rest = ""
        self.buffer = self

    def write(self, text: Any) -> int:
        if not isinstance(text, str):
            text = bytes(text).decode(errors="replace")
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._say(line.rstrip("\r"))
        return len(text)

    def flush(self) -> None:
        pass

    def end(self) -> None:
        if self._rest:
            self._say(self._rest)


class Input:
    """`sys.stdin`, and its `buffer`: text, read byte by byte so that `poll` always tells the truth."""

    def __init__(self, number: int) -> None:
        self._number = number
        self.buffer = self

    def fileno(self) -> int:
        return self._number

    def read(self, size: int = -1) -> str:
        data = b""
        while (size < 0 or len(data) < size) and (byte := os.read(self._number, 1)):
            data += byte
        return data.decode(errors="replace")

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        done = 0
        while done < len(view) and (data := os.read(self._number, len(view) - done)):
            view[done : done + len(data)] = data
            done += len(data)
        return done

    def readline(self) -> str:
        line = b""
        while not line.endswith(b"\n") and (byte := os.read(self._number, 1)):
            line += byte
        return line.decode(errors="replace")


def feed(number: int, text: str) -> None:
    """Type on a console. It holds so much, as the buffer of a board's UART does; what is typed beyond that is lost."""
    os.set_blocking(number, False)
    try:
        os.write(number, text.encode())
    except OSError:
        pass  # full, or nobody is there any more to read it
