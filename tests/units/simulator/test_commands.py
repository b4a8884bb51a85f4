"""`thermokeeper sim`: what it prints, and that it shows no secret."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from support_board import make_board

from support_flash import make_flash, otadata_entry
from thermokeeper.errors import ToolError
from thermokeeper.simulator.board import Board
from thermokeeper.simulator.commands import sim
from thermokeeper.simulator.world import EXAMPLE, World, read_file


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(sim, [str(argument) for argument in arguments], catch_exceptions=False)
    return result.exit_code, result.output


def test_run_prints_the_console_and_what_happened(flash: Path) -> None:
    make_board(flash, "import machine\nprint('hello')\nif machine.reset_cause() == 1:\n  machine.reset()")
    status, output = run("run", flash, "--runtime", "cpython")
    assert status == 1
    assert [line for line in output.splitlines() if "blank" not in line] == [
        "-- boot: ota_0",
        "hello",
        "-- reset: machine.reset()",
        "-- boot: ota_0",
        "hello",
        "-- repl",
    ]


def test_run_ends_well_after_its_time(flash: Path) -> None:
    make_board(flash, "import time\nwhile True:\n  time.sleep(1)")
    status, output = run("run", flash, "--for", "0.5")
    assert status == 0
    assert output.splitlines()[-1] == "-- time"


@pytest.mark.parametrize("runtime", ["micropython", "cpython"])
def test_a_fast_run_lets_an_hour_pass_without_waiting_for_it(flash: Path, runtime: str) -> None:
    make_board(flash, "import time\nwhile True:\n    time.sleep(600)\n    print('on for', time.time() // 600)")
    done = CliRunner().invoke(sim, ["run", str(flash), "--runtime", runtime, "--fast", "--for", "3599"])
    assert done.exit_code == 0
    assert [line for line in done.output.splitlines() if line.startswith("on for")] == [
        f"on for {number}" for number in range(1, 6)
    ]


def test_a_port_is_for_programs_in_real_time(flash: Path) -> None:
    make_board(flash, "print('never')")
    with pytest.raises(ToolError, match="leave out --fast"):
        CliRunner().invoke(sim, ["run", str(flash), "--fast", "--port"], catch_exceptions=False)


def test_run_takes_a_world(flash: Path, tmp_path: Path) -> None:
    make_board(flash, "import onewire\nfrom machine import Pin\nprint(onewire.OneWire(Pin(4)).scan())")
    path = tmp_path / "world.json"
    path.write_text('// no sensor\n{"sensor": {"fault": "missing"}}')
    assert "\n[]\n" in run("run", flash, "--runtime", "cpython", "--world", path)[1]


def test_run_takes_the_memory_of_a_firmware(flash: Path) -> None:
    make_board(flash, "import esp32\nprint(len(esp32.idf_heap_info(esp32.HEAP_DATA)))")
    assert "\n4\n" in run("run", flash, "--runtime", "cpython", "--memory", "v1.25")[1]
    assert "\n1\n" in run("run", flash, "--runtime", "cpython", "--memory", "roomy")[1]


def test_inspect_shows_partitions_otadata_and_keys_but_no_values(flash: Path) -> None:
    make_board(
        flash,
        "from esp32 import NVS\nNVS('keeper').set_blob('cloud', b'top secret')\nNVS('keeper').set_i32('pin', 4711)",
        extra=(("otadata", otadata_entry(1, 2)), (0xE000, otadata_entry(2, 4))),
    )
    Board(flash, runtime="cpython").play()
    before = flash.read_bytes()
    status, output = run("inspect", flash)
    assert status == 0
    assert "ota_1      app   0x11  0x020000     64 KiB" in output
    assert "sector 0: sequence 1 -> ota_0, valid" in output
    assert "sector 1: sequence 2 -> ota_1, aborted" in output
    assert "next boot: ota_0" in output
    assert "keeper/cloud: blob of 10 bytes" in output
    assert "secret" not in output and "4711" not in output
    assert flash.read_bytes() == before


def test_inspect_says_why_nothing_boots(flash: Path) -> None:
    make_flash(flash, (("otadata", otadata_entry(1, 1)),))
    output = run("inspect", flash)[1]
    assert "next boot: nothing" in output
    assert "ota_0 was on trial and didn't confirm itself" in output


def test_the_example_world_is_a_world(tmp_path: Path) -> None:
    path = tmp_path / "world.json"
    path.write_text(run("world")[1])
    assert path.read_text() == EXAMPLE
    assert World.load(path).settings["sensor"]["wave_c"] == 1.5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "one JSON object"),
        ('{"weather": 1}', "no `weather`"),
        ('{"sensor": {"fault": "bored"}}', "no fault `bored`"),
        ('{"networks": [{"key": "x"}]}', "each of the world's networks"),
        ('{"networks": {}}', "should be like"),
        ('{"cuts": [{"operation": 1, "moment": "later"}]}', "each of the world's cuts"),
    ],
)
def test_a_wrong_world_is_refused_with_the_reason(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "world.json"
    path.write_text(text)
    with pytest.raises(ToolError, match=message):
        World.load(path)
    with pytest.raises(ToolError, match="can't be read"):
        read_file(tmp_path / "absent.json")
