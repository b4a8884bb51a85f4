"""The runner of tests/device, and its scripts, proved on a simulated board; on silicon `make test-device` runs them."""

from __future__ import annotations

import contextlib
import importlib.util
import socket
import sys
import threading
from pathlib import Path

import pytest
import serial
from serial.rfc2217 import PortManager

from thermokeeper.board import link as link_module
from thermokeeper.board.link import linked
from thermokeeper.errors import ToolError

FOLDER = Path(__file__).resolve().parents[2] / "device"
SCRIPTS = sorted((FOLDER / "scripts").glob("*.py"))


@pytest.fixture(scope="module")
def runner():
    spec = importlib.util.spec_from_file_location("device_runner", FOLDER / "run.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["device_runner"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["device_runner"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_passes_on_the_simulated_board(runner, bench, script, capsys):
    assert runner.main(["--port", bench.port.path, str(script)]) == 0, capsys.readouterr().out
    assert capsys.readouterr().out.startswith(f"passed  {script.name}")
    seen = len(bench.events)
    bench.says("tk: reading", seen)  # the board is left as it was found


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("#: run\nprint('a')\nprint('b')\n#: prints b\n#: prints a\n", "wrong.py:5: expected a line 'a', found []"),
        ("#: run\n1 / 0\n", "ZeroDivisionError"),
        ("#: asks wifi\n#: answers nothing like it\n", "wrong.py:2: expected 'nothing like it'"),
        ("#: run\nimport machine\nmachine.reset()\n#: resets\n#: says tk: nothing\n", "never said 'tk: nothing'"),
    ],
)
def test_what_a_script_does_not_print_is_a_failure(runner, bench, tmp_path, capsys, monkeypatch, text, reason):
    monkeypatch.setattr(runner, "_WAIT_S", 5)
    (tmp_path / "wrong.py").write_text(text)
    assert runner.main(["--port", bench.port.path, str(tmp_path / "wrong.py")]) == 1
    assert reason in capsys.readouterr().out


def test_a_byte_lost_on_the_line_does_not_keep_a_board_from_its_restart(bench, monkeypatch):
    with linked(bench.port.path) as link:
        link.stop_program()
        write, lost = link.serial.write, []

        def lose_the_first_end(data):
            if data == b"\x04" and not lost:  # the end of the code
                lost.append(data)
                return len(data)
            return write(data)

        monkeypatch.setattr(link.serial, "write", lose_the_first_end)
        seen = len(bench.events)
        link.restart()
        assert lost
    bench.says("tk: reading", seen)


def test_a_board_that_restarts_and_talks_on_is_not_waited_for_for_ever(bench, monkeypatch):
    monkeypatch.setattr(link_module, "_LONGEST_S", 4)
    with pytest.raises(ToolError, match="the board stopped answering"), linked(bench.port.path) as link:
        link.stop_program()
        link.restart()
        bench.says("tk: reading", len(bench.events))  # one each second from now on, and no prompt
        link.serial.reset_input_buffer()
        link.run("print(1)")


class PortWithoutLines(serial.Serial):
    """A pseudo terminal has no modem lines: they can be set, and are never seen."""

    cts = dsr = ri = cd = property(lambda self: False)

    def _update_rts_state(self) -> None:
        pass

    def _update_dtr_state(self) -> None:
        pass


class Wire:
    """What rfc2217 writes to its client with."""

    def __init__(self, connection: socket.socket) -> None:
        self.write = connection.sendall


@pytest.fixture(params=["socket", "rfc2217"])
def bridge(request, bench):
    """The board's port on the network, as ser2net or esp_rfc2217_server have it: its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def carry() -> None:
        with PortWithoutLines(bench.port.path, timeout=0.05) as port:
            while not over.is_set():
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(0.05)
                    manager = PortManager(port, Wire(connection)) if request.param == "rfc2217" else None
                    while not over.is_set():
                        try:
                            data = connection.recv(4096)
                            if not data:
                                break
                            port.write(b"".join(manager.filter(data)) if manager else data)
                        except TimeoutError:
                            pass
                        except OSError:
                            break
                        with contextlib.suppress(OSError):
                            said = port.read(port.in_waiting)
                            connection.sendall(b"".join(manager.escape(said)) if manager else said)

    thread = threading.Thread(target=carry, daemon=True)
    thread.start()
    yield f"{request.param}://127.0.0.1:{listener.getsockname()[1]}"
    over.set()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(10)


def test_a_board_on_the_network_is_reached_by_its_address(runner, bench, bridge, capsys):
    scripts = [str(FOLDER / "scripts" / name) for name in ("resets.py", "console.py")]
    assert runner.main(["--port", bridge, *scripts]) == 0, capsys.readouterr().out


def test_a_step_that_is_none_is_named(runner, tmp_path):
    (tmp_path / "wrong.py").write_text("#: prints a\n\n#: print b\n")
    with pytest.raises(ValueError, match=r"wrong.py:3: no step `print`"):
        list(runner.steps(tmp_path / "wrong.py"))


def test_every_script_expects_something(runner):
    assert len(SCRIPTS) >= 5
    for path in SCRIPTS:
        assert {step.word for step in runner.steps(path)} & {"prints", "says", "answers"}
