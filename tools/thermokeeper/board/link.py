"""MicroPython's raw prompt on a port, by mpremote: a program stopped, code run on the board, files written there."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable, Iterator

import serial
from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport

from thermokeeper.board import port as ports
from thermokeeper.errors import ToolError

_READ_S = 2
_ATTEMPTS = 3
_PATIENCE_S = 3  # of one attempt
_LONGEST_S = 120  # for whatever the board is asked
_RESTART = "import machine\nmachine.RTC().memory(b'')\nmachine.reset()"


class Link(SerialTransport):  # type: ignore[misc]  # it comes without types
    """mpremote's transport over a port that was opened here, with a reason if it can't be."""

    settle_s = 0.5  # after Ctrl-C

    def __init__(self, name: str) -> None:
        self.device_name = name
        self.serial = ports.open_port(name, _READ_S)
        self.in_raw_repl = False
        self.use_raw_paste = True
        self.mounted = False

    def stop_program(self) -> None:
        """Interrupt whatever runs, and be at the raw prompt; nothing is reset."""
        for _ in range(_ATTEMPTS):
            with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(TransportError):
                self.serial.write(b"\r\x03\x02")  # out of whatever prompt it may be at
                time.sleep(self.settle_s)
                self.serial.reset_input_buffer()
                self.enter_raw_repl(soft_reset=False, timeout_overall=_PATIENCE_S)
                return
        raise ToolError(f"{self.device_name}: no MicroPython answers; is it the board's port, and does the board run?")

    def run(self, code: str) -> str:
        """Run code on the board; what it printed."""
        return bytes(self.exec(code)).decode(errors="replace")

    def read_until(
        self,
        min_num_bytes: int,
        ending: bytes,
        timeout: float | None = 10,
        data_consumer: Callable[[bytes], None] | None = None,
        timeout_overall: float | None = None,
    ) -> bytes:
        """As mpremote's, but with an end: a board that has restarted talks on and on, and never of what was asked."""
        end_s = time.monotonic() + (timeout_overall or _LONGEST_S)
        last_s = time.monotonic()
        data = b""
        while not data.endswith(ending) and time.monotonic() < end_s:
            if new := self.serial.read(1):
                last_s = time.monotonic()
                if data_consumer:
                    data_consumer(new)
                data = new if data_consumer else data + new
            elif timeout is not None and time.monotonic() >= last_s + timeout:
                break
        return data

    def restart(self) -> None:
        """Reset the stopped board, the starts so far not counted. A byte may be lost on the way: then once more."""
        try:
            self.exec_raw_no_follow(_RESTART)
        except TransportError:
            self.stop_program()
            self.exec_raw_no_follow(_RESTART)

    def lines(self, for_s: float) -> Iterator[str]:
        """What the board says, line by line, for so long."""
        deadline_s = time.monotonic() + for_s
        line = bytearray()
        while time.monotonic() < deadline_s:
            char = self.serial.read(1)
            if char == b"\n":
                yield line.decode(errors="replace").strip()
                line.clear()
            else:
                line += char

    def close(self) -> None:
        self.serial.close()


@contextlib.contextmanager
def linked(name: str) -> Iterator[Link]:
    """A link to the board on a port; what fails on the way is a ToolError."""
    link = Link(name)
    try:
        yield link
    except TransportExecError as error:
        raise ToolError(f"{name}: the board refuses: {error.error_output.strip().splitlines()[-1]}") from None
    except TransportError as error:
        raise ToolError(f"{name}: the board stopped answering: {error}") from None
    except (serial.SerialException, OSError) as error:
        raise ports.lost(name, error) from None
    finally:
        link.close()
