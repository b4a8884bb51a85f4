"""mpremote itself, as a developer runs it, with a simulated board on a pseudo terminal."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from lives.kit import MICROPYTHON, SERIAL, SIZE
from release_support import tool

PROJECT = Path(__file__).resolve().parents[3]


def mpremote(port: str, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "mpremote", "connect", port, *command],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_finds_the_raw_prompt_through_a_soft_reset_that_runs_boot_py_only(bench):
    assert mpremote(bench.port.path, "exec", "print(6 * 7, type(running_release))") == "42 <class 'bytes'>\n"
    kinds = [event.kind for event in bench.events]
    assert not any(event.text.startswith("tk: ") for event in bench.events[kinds.index("reset") :])
    # what programs say to each other is nothing for whoever reads the console of `sim run`
    assert [line for line in bench.said if "raw REPL" in line or "42" in line or "\4" in line] == []


def test_what_a_quick_program_hears_is_nothing_for_the_console_either(bench, monkeypatch):
    tell = bench.port.tell

    def tell_a_quick_one(data):
        tell(data)
        if data.endswith(b"\4>"):  # it has left the raw prompt before the next line of the simulator runs
            bench.port.raw = False

    monkeypatch.setattr(bench.port, "tell", tell_a_quick_one)
    assert mpremote(bench.port.path, "exec", "print(6 * 7)") == "42\n"
    assert [line for line in bench.said if "42" in line or "\4" in line] == []


def test_a_board_that_it_resets_goes_on_measuring(bench):
    mpremote(bench.port.path, "exec", "pass")
    seen = len(bench.events)
    mpremote(bench.port.path, "reset")
    bench.says("tk: reading", seen)


def test_mip_installs_keeper_alone_where_there_is_room(foundry, bench_with, tmp_path):
    flash = tmp_path / "flash.bin"
    release = foundry.release("1.0.0", MICROPYTHON.source)
    server = ("--server", "http://127.0.0.1:9", "--plain-http", "--set", "period_s=1")
    tool("image", "build", "--firmware", foundry.firmware(SIZE), "--release", release, "--unsigned-ok", *server,
         "--serial", SERIAL, "--flash-size", "8MiB", "--out", flash)  # fmt: skip
    bench = bench_with(flash)
    mpremote(bench.port.path, "mip", "install", str(PROJECT / "package.json"))
    code = "import sys; sys.path.remove('/release'); import keeper.assembling as it; print(it.__file__, it.assemble)"
    assert mpremote(bench.port.path, "exec", code).startswith("/lib/keeper/assembling/__init__.py <function")
    listed = mpremote(bench.port.path, "exec", "import os; print(sorted(os.listdir('/lib')))")
    assert listed == "['keeper']\n"
