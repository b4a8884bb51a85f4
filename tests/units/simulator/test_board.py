"""Whole lives of boards with small programs of their own, on every runtime."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from support_board import file_system, make_board

from support_flash import app_image, make_flash, otadata_entry
from thermokeeper.errors import ToolError
from thermokeeper.simulator import shimcode
from thermokeeper.simulator.board import Board, Event
from thermokeeper.simulator.world import World

RUNTIMES = ("micropython", "cpython", "cpython-process")
runtimes = pytest.mark.parametrize("runtime", RUNTIMES)
LIMIT_S = 20


def play(board: Board, **options: object) -> list[Event]:
    """All events of one power-on."""
    events: list[Event] = []
    board.play(events.append, wall_s=LIMIT_S, **options)  # type: ignore[arg-type]
    return events


def console(events: list[Event]) -> list[str]:
    return [event.text for event in events if event.kind == "console"]


def kinds(events: list[Event]) -> list[str]:
    return [event.kind for event in events if event.kind not in ("console", "note")]


@runtimes
def test_boot_py_runs_before_main_py_and_both_share_a_name_space(flash: Path, runtime: str) -> None:
    make_board(
        flash, "print('main', shared, __name__)\nimport helper", "shared = 7\nprint('boot')", helper="print(__name__)"
    )
    board = Board(flash, runtime=runtime)
    events = play(board)
    assert console(events) == ["boot", "main 7 __main__", "helper"]
    assert kinds(events) == ["boot", "repl"]
    assert (board.outcome, board.slot, board.boots) == ("repl", "ota_0", 1)


@runtimes
def test_the_board_sees_its_own_flash_path_and_modules(flash: Path, runtime: str) -> None:
    program = """
import sys, os, esp32, machine, time
print(sys.path, sorted(os.listdir("/")), os.getcwd())
print(esp32.Partition(esp32.Partition.RUNNING).info()[4], machine.reset_cause(), time.gmtime()[0])
os.mkdir("/new")
with open("/new/file.txt", "w") as file:
    file.write("one\\ntwo\\n")
with open("new/file.txt") as file:
    print(file.readline().strip(), [line.strip() for line in file])
os.rename("/new/file.txt", "/moved")
print(os.stat("/moved")[6], os.listdir("/new"))
try:
    open("/nothing")
except OSError as error:
    print(error.args[0])
"""
    make_board(flash, program)
    assert console(play(Board(flash, runtime=runtime))) == [
        "['', '.frozen', '/lib'] ['boot.py', 'main.py'] /",
        "ota_0 1 2000",
        "one ['two']",
        "8 []",
        "2",
    ]


@runtimes
def test_what_is_written_outlives_the_power(flash: Path, runtime: str) -> None:
    program = """
from esp32 import NVS
nvs = NVS("keeper")
try:
    count = nvs.get_i32("count")
except OSError:
    count = 0
nvs.set_i32("count", count + 1)
print("count", count)
"""
    make_board(flash, program)
    board = Board(flash, runtime=runtime)
    assert [console(play(board)) for _ in range(3)] == [["count 0"], ["count 1"], ["count 2"]]


@runtimes
def test_every_kind_of_restart_goes_its_way(flash: Path, runtime: str) -> None:
    program = """
import machine
memory = machine.RTC().memory()
machine.RTC().memory(memory + b"x")
print(machine.reset_cause(), len(memory))
if len(memory) == 0:
    machine.reset()
if len(memory) == 1:
    machine.deepsleep(20)
if len(memory) == 2:
    machine.soft_reset()
if len(memory) == 3:
    raise SystemExit
"""
    make_board(flash, program)
    events = play(Board(flash, runtime=runtime))
    assert console(events) == ["1 0", "2 1", "4 2", "5 3", "5 4"]
    assert kinds(events) == ["boot", "reset", "boot", "sleep", "boot", "reset", "boot", "reset", "boot", "repl"]


@runtimes
def test_a_trial_that_does_not_confirm_itself_is_rolled_back(flash: Path, runtime: str) -> None:
    program = """
from esp32 import Partition
import machine
slot = Partition(Partition.RUNNING).info()[4]
print(slot)
if slot == "ota_0" and not machine.RTC().memory():
    machine.RTC().memory(b"tried")
    Partition("ota_1").set_boot()
    machine.reset()
if slot == "ota_1":
    machine.reset()
"""
    make_board(flash, program)
    events = play(Board(flash, runtime=runtime))
    assert console(events) == ["ota_0", "ota_1", "ota_0"]
    assert "ota_1 was on trial and didn't confirm itself: aborted" in [event.text for event in events]


@runtimes
def test_a_confirmed_trial_stays(flash: Path, runtime: str) -> None:
    program = """
from esp32 import Partition
import machine
slot = Partition(Partition.RUNNING).info()[4]
print(slot)
if slot == "ota_0":
    Partition("ota_1").set_boot()
    machine.reset()
Partition.mark_app_valid_cancel_rollback()
"""
    make_board(flash, program)
    board = Board(flash, runtime=runtime)
    assert console(play(board)) == ["ota_0", "ota_1"]
    assert console(play(board)) == ["ota_1"]


@runtimes
def test_a_soft_reset_is_no_end_of_a_trial(flash: Path, runtime: str) -> None:
    program = """
import machine
from esp32 import Partition
print(Partition(Partition.RUNNING).info()[4])
if machine.reset_cause() == 1:
    machine.soft_reset()
"""
    make_board(flash, program, extra=(("otadata", otadata_entry(2, 0)),))
    assert console(play(Board(flash, runtime=runtime))) == ["ota_1", "ota_1"]


@runtimes
def test_the_watchdog_survives_a_soft_reset(flash: Path, runtime: str) -> None:
    program = """
import machine, time
print(machine.reset_cause())
if machine.reset_cause() == 1:
    machine.WDT(timeout=600)
    machine.soft_reset()
while machine.reset_cause() == 5:
    time.sleep_ms(10)
"""
    make_board(flash, program)
    assert console(play(Board(flash, runtime=runtime)))[:3] == ["1", "5", "3"]


@runtimes
def test_a_hanging_board_is_reset_by_its_watchdog(flash: Path, runtime: str) -> None:
    program = """
import machine, time
print(machine.reset_cause())
if machine.reset_cause() == 1:
    wdt = machine.WDT(timeout=300)
    for _ in range(4):
        time.sleep_ms(150)
        wdt.feed()
    print("fed")
    while True:
        time.sleep_ms(10)
"""
    make_board(flash, program)
    events = play(Board(flash, runtime=runtime))
    assert console(events) == ["1", "fed", "3"]
    assert "watchdog" in kinds(events)


@pytest.mark.parametrize("runtime", ["micropython", "cpython-process"])
def test_a_loop_that_touches_nothing_is_reset_too(flash: Path, runtime: str) -> None:
    make_board(flash, "import machine\nif machine.reset_cause() == 1:\n  machine.WDT(timeout=200)\n  while True: pass")
    assert kinds(play(Board(flash, runtime=runtime))) == ["boot", "watchdog", "boot", "repl"]


@runtimes
def test_an_uncaught_error_leaves_the_board_at_its_prompt(flash: Path, runtime: str) -> None:
    make_board(flash, "print('never')", "import nothing_like_it")
    events = play(Board(flash, runtime=runtime))
    assert console(events)[0].startswith("Traceback")
    assert console(events)[-1] == "ImportError: no module named 'nothing_like_it'"
    assert kinds(events) == ["boot", "repl"]


@runtimes
def test_at_the_prompt_nobody_feeds_the_watchdog(flash: Path, runtime: str) -> None:
    make_board(flash, "import machine\nif machine.reset_cause() == 1:\n  machine.WDT(timeout=200)\n  1 // 0")
    assert kinds(play(Board(flash, runtime=runtime))) == ["boot", "watchdog", "boot", "repl"]


@runtimes
def test_writing_over_the_running_application_is_a_panic(flash: Path, runtime: str) -> None:
    program = """
from esp32 import Partition
import machine
if machine.reset_cause() == 1:
    try:
        Partition("ota_0").ioctl(6, 0)
    except Exception:
        print("never")
"""
    make_board(flash, program)
    events = play(Board(flash, runtime=runtime))
    assert (kinds(events), console(events)) == (["boot", "panic", "boot", "repl"], [])


CUT_PROGRAM = """
from esp32 import Partition
import machine
print(machine.reset_cause(), machine.RTC().memory())
machine.RTC().memory(b"forgotten")
try:
    Partition("data").writeblocks(0, b"\\x00" * 4096)
    print("written")
finally:
    try:
        Partition("data").writeblocks(1, b"\\x00" * 4096)
    except Exception:
        pass
"""


@runtimes
@pytest.mark.parametrize(
    ("moment", "first", "second"),
    [("before", 0xFF, 0xFF), ("after", 0x00, 0xFF)],
)
def test_a_power_cut_ends_everything_at_once(flash: Path, runtime: str, moment: str, first: int, second: int) -> None:
    make_board(flash, CUT_PROGRAM, extra=(("otadata", otadata_entry(1, 2)),))
    world = World()
    world.cut(1, moment)
    board = Board(flash, world, runtime=runtime)
    events = play(board, stay_cut=True)
    assert kinds(events) == ["boot", "cut", "cut"]
    assert "written" not in console(events)
    data = flash.read_bytes()
    assert (data[0x40000], data[0x41000]) == (first, second)
    assert [(op.kind, op.partition) for op in board.operations] == [("erase", "data"), ("program", "data")]
    assert board.outcome == "cut"


@runtimes
def test_the_power_comes_back_after_a_cut_and_memory_is_gone(flash: Path, runtime: str) -> None:
    make_board(flash, CUT_PROGRAM, extra=(("otadata", otadata_entry(1, 2)),))
    world = World()
    world.cut(1, "middle", 3)
    world.cut(3, "before")
    board = Board(flash, world, runtime=runtime)
    events = play(board)
    assert kinds(events) == ["boot", "cut", "boot", "cut", "boot", "repl"]
    assert console(events) == ["1 b''", "1 b''", "1 b''", "written"]
    assert len(board.operations) == 8
    assert [op.number for op in board.operations] == list(range(8))


@runtimes
def test_the_same_program_makes_the_same_flash_operations(flash: Path, runtime: str) -> None:
    program = """
from esp32 import NVS
nvs = NVS("keeper")
for number in range(30):
    nvs.set_blob("cloud", bytes([number]) * 200)
with open("/note", "w") as file:
    file.write("x" * 5000)
"""
    make_board(flash, program)
    board = Board(flash, runtime=runtime)
    play(board)
    nvs = [op.kind for op in board.operations if op.partition == "nvs"]
    reference = Board(make_board(flash, program), runtime="micropython")
    play(reference)
    assert nvs == [op.kind for op in reference.operations if op.partition == "nvs"]
    assert len([op for op in board.operations if op.partition == "vfs"]) > 1


def test_a_blank_vfs_is_formatted_and_a_damaged_one_never_is(flash: Path) -> None:
    for runtime in RUNTIMES:
        make_flash(flash, (("ota_0", app_image()),))
        board = Board(flash, runtime=runtime)
        assert console(play(board)) == ["Performing initial setup"]
        assert console(play(board)) == []
        make_flash(flash, (("ota_0", app_image()), ("vfs", b"\x00" * 8192)))
        board = Board(flash, runtime=runtime)
        assert "corrupted" in console(play(board))[0]
        assert board.outcome == "vfs"
        assert not [op for op in board.operations if op.partition == "vfs"]


def test_no_bootable_slot_is_an_outcome(flash: Path) -> None:
    make_flash(flash)
    board = Board(flash)
    assert kinds(play(board)) == ["no-slot"]
    assert board.outcome == "no-slot"


@runtimes
def test_the_world_changes_while_the_board_runs(flash: Path, runtime: str) -> None:
    program = """
import network, onewire, ds18x20, time
from machine import Pin
wlan = network.WLAN(network.STA_IF)
wlan.active(True)
wlan.connect("workshop", "thermometer")
while not wlan.isconnected():
    time.sleep_ms(5)
print("up")
while wlan.isconnected():
    time.sleep_ms(5)
print("down")
bus = ds18x20.DS18X20(onewire.OneWire(Pin(4)))
bus.convert_temp()
time.sleep_ms(760)
print(bus.read_temp(bus.scan()[0]))
"""
    make_board(flash, program)
    world = World()
    board = Board(flash, world, runtime=runtime)
    lines = []
    for event in board.run(wall_s=LIMIT_S):
        if event.kind == "console":
            lines.append(event.text)
            if event.text == "up":
                world.sensor(temperature_c=-4.5)
                world.wifi(False)
    assert lines == ["up", "down", "-4.5"]


@runtimes
def test_the_host_switches_the_power_off(flash: Path, runtime: str) -> None:
    make_board(
        flash, "import time\nprint('on')\nwhile True:\n  try:\n    time.sleep(60)\n  except Exception:\n    pass"
    )
    board = Board(flash, runtime=runtime)
    started = time.monotonic()
    for event in board.run():
        if event.kind == "console":
            threading.Timer(0.05, board.power_off).start()
    assert board.outcome == "off"
    assert time.monotonic() - started < 5


@runtimes
def test_a_run_stops_at_the_line_that_is_waited_for(flash: Path, runtime: str) -> None:
    make_board(flash, "import time\nn = 0\nwhile True:\n  print('tick', n)\n  n += 1\n  time.sleep_ms(1)")
    board = Board(flash, runtime=runtime)
    events = play(board, until=lambda event: event.text == "tick 3")
    assert "tick 3" in console(events)
    assert board.outcome == "until"


@runtimes
def test_lines_typed_on_the_host_reach_the_board(flash: Path, runtime: str) -> None:
    make_board(flash, "import sys\nprint('name?')\nname = sys.stdin.readline().strip()\nprint('hello', name)")
    board = Board(flash, runtime=runtime)
    lines = []
    for event in board.run(wall_s=LIMIT_S):
        lines.append(event.text)
        if event.text == "name?":
            board.type("ada")
    assert "hello ada" in lines


_POLLS = """
import select, sys, time
poller = select.poll()
poller.register(sys.stdin, select.POLLIN)
one = bytearray(1)
print("name?")
taken = polls = 0
while one != b"!":
    polls += 1
    for _, event in poller.ipoll(0):
        taken += sys.stdin.buffer.readinto(one)
    time.sleep_ms(5)
print("took", taken, "in many polls" if polls > 10 else "at once")
"""


@runtimes
def test_a_console_on_which_nobody_types_has_nothing_to_read_and_keeps_nobody_waiting(
    flash: Path, runtime: str
) -> None:
    make_board(flash, _POLLS)
    board = Board(flash, runtime=runtime)
    lines = []
    for event in board.run(wall_s=LIMIT_S):
        lines.append(event.text)
        if event.text == "name?":
            threading.Timer(0.3, board.type, ("ab!", "")).start()
    assert "took 3 in many polls" in lines


@runtimes
def test_what_is_typed_faster_than_the_board_reads_is_lost(flash: Path, runtime: str) -> None:
    make_board(flash, "import time\nprint('busy')\nwhile True:\n  time.sleep_ms(50)")
    board = Board(flash, runtime=runtime)
    started = time.monotonic()
    for event in board.run(wall_s=LIMIT_S):
        if event.text == "busy":
            for _ in range(20):
                board.type("x" * 100_000)
            board.power_off()
    assert board.outcome == "off" and time.monotonic() - started < LIMIT_S


def child_of(parent: int) -> int:
    """Process id of a child, 0 if there is none."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # ended meanwhile
        if int(fields[1]) == parent:
            return int(path.parent.name)
    return 0


@pytest.mark.parametrize("runtime", ["micropython", "cpython-process"])
def test_a_board_ends_when_its_runner_is_gone(flash: Path, runtime: str) -> None:
    program = """
from esp32 import Partition
import time
while True:
    Partition("data").ioctl(6, 0)
    time.sleep_ms(20)
"""
    make_board(flash, program)
    # A runner of its own process that is killed while the board runs; the board's standard output is a pipe to it.
    runner = f"""
import pathlib
from thermokeeper.simulator.board import Board
board = Board(pathlib.Path({str(flash)!r}), runtime={runtime!r})
board.play(wall_s=20)
"""
    process = subprocess.Popen([sys.executable, "-c", runner], stdout=subprocess.PIPE, text=True)
    try:
        number = 0
        deadline = time.monotonic() + 10
        while not number and time.monotonic() < deadline:
            number = child_of(process.pid)
            time.sleep(0.05)
        assert number
        time.sleep(0.3)
    finally:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()
    deadline = time.monotonic() + 5
    while Path(f"/proc/{number}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{number}").exists()


def test_boots_without_end_are_given_up(flash: Path) -> None:
    make_board(flash, "import machine\nmachine.reset()")
    board = Board(flash, runtime="cpython")
    play(board, max_boots=5)
    assert (board.outcome, board.boots) == ("boots", 5)


def test_a_busy_loop_ends_with_its_time(flash: Path) -> None:
    make_board(flash, "while True: pass")
    for runtime in RUNTIMES:
        board = Board(flash, runtime=runtime)
        board.play(wall_s=0.7)
        assert board.outcome == "time"


# virtual time

in_virtual_time = pytest.mark.parametrize("runtime", ["cpython", "micropython"])


@in_virtual_time
def test_virtual_time_is_whole(flash: Path, runtime: str) -> None:
    program = """
import time, machine
start = time.ticks_ms()
wdt = machine.WDT(timeout=30000)
while time.ticks_diff(time.ticks_ms(), start) < 3600000:
    time.sleep(20)
    wdt.feed()
print(time.time() // 3600)
if machine.reset_cause() == 1:
    machine.reset()
machine.deepsleep(86400000)
"""
    make_board(flash, program)
    board = Board(flash, runtime=runtime, virtual_time=True)
    events = play(board, for_s=1.5 * 86400)
    assert console(events) == ["1", "2", "27"]
    assert board.outcome == "time"
    assert [event.at_s // 3600 for event in events if event.kind == "console"] == [1, 2, 27]


@in_virtual_time
def test_virtual_time_doesn_t_depend_on_the_machine(flash: Path, runtime: str) -> None:
    program = """
import time
start = time.ticks_us()
for _ in range(1000):
    time.ticks_ms()
print(time.ticks_diff(time.ticks_us(), start) // 1000)
time.sleep_us(2500)
print(time.ticks_diff(time.ticks_us(), start) // 1000)
"""
    make_board(flash, program)
    assert console(play(Board(flash, runtime=runtime, virtual_time=True))) == ["20", "22"]


@in_virtual_time
def test_a_board_in_virtual_time_stands_still_while_its_line_is_followed(flash: Path, runtime: str) -> None:
    program = """
import machine, network
for number in range(5):
    print(len(network.WLAN(network.STA_IF).scan()))
"""
    make_board(
        flash, program.replace("print(", "wlan = network.WLAN(network.STA_IF)\n    wlan.active(True)\n    print(")
    )
    world = World(networks=[])
    board = Board(flash, world, runtime=runtime, virtual_time=True)
    lines = []

    def followed(event: Event) -> None:
        if event.kind == "console":
            lines.append(event.text)
            name = f"net {len(lines)}"
            world.update(networks=[*world.settings["networks"], {"ssid": name, "key": None, "rssi": -50, "channel": 1}])

    board.play(followed)
    assert lines == ["0", "1", "2", "3", "4"]


_ASKS = """
import machine, network, select, socket, time
wlan = network.WLAN(network.STA_IF)
wlan.active(True)
wlan.connect("workshop", "thermometer")
while not wlan.isconnected():
    time.sleep_ms(10)
asked = socket.socket()
asked.connect(socket.getaddrinfo("127.0.0.1", PORT)[0][-1])
asked.setblocking(False)
poll = select.poll()
poll.register(asked, select.POLLIN)
start = time.ticks_ms()
while True:
    ready = poll.poll(200)
    if ready or time.ticks_diff(time.ticks_ms(), start) > 9000:
        break
print(time.ticks_diff(time.ticks_ms(), start), asked.read(5) if ready else None)
"""


@in_virtual_time
@pytest.mark.parametrize(("quiet_ms", "said"), [(None, "9000 None"), (3050, "3050 b'hello'"), (0, "0 b'hello'")])
def test_an_answer_takes_as_much_of_a_board_s_time_as_whoever_gives_it_says(
    flash: Path, runtime: str, quiet_ms: int | None, said: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        make_board(flash, _ASKS.replace("PORT", str(listening.getsockname()[1])))
        board = Board(flash, runtime=runtime, virtual_time=True)

        def answer() -> None:
            asking, _ = listening.accept()
            with asking:
                over = threading.Event()
                if quiet_ms is None:
                    board.pauses.keep_quiet()
                    asking.recv(1)
                    return
                board.pauses.keep_quiet(quiet_ms, over.set)
                assert over.wait(30)
                asking.sendall(b"hello")

        thread = threading.Thread(target=answer)
        thread.start()
        lines = console(play(board))
        thread.join()
    (line,) = lines
    took, _, rest = line.partition(" ")
    wanted, _, answered = said.partition(" ")
    assert rest == answered
    assert int(wanted) <= int(took) <= int(wanted) + 10  # looks at the clock are not for nothing


@in_virtual_time
def test_virtual_time_has_its_watchdog(flash: Path, runtime: str) -> None:
    program = "import time, machine\nif machine.reset_cause() == 1:\n  machine.WDT(timeout=5000)\n  time.sleep(60)"
    make_board(flash, program + "\n  print('never')")
    events = play(Board(flash, runtime=runtime, virtual_time=True))
    assert (kinds(events), console(events)) == (["boot", "watchdog", "boot", "repl"], [])


@runtimes
def test_modules_that_a_board_lacks_are_not_there(flash: Path, runtime: str) -> None:
    program = """
for name in ("pathlib", "dataclasses", "typing", "thermokeeper", "support_flash"):
    try:
        __import__(name)
        print("there is", name)
    except ImportError:
        pass
"""
    make_board(flash, program)
    assert console(play(Board(flash, runtime=runtime))) == []


def test_compiled_modules_are_named_as_the_reason(flash: Path) -> None:
    vfs = file_system({"main.py": "import helper", "helper.mpy": b"M\x06"})
    make_flash(flash, (("ota_0", app_image()), ("vfs", vfs)))
    assert "--source" in console(play(Board(flash, runtime="cpython")))[-1]


def test_boards_in_one_process_do_not_see_each_other(tmp_path: Path) -> None:
    program = "import state, time\nstate.value += 1\ntime.sleep_ms(100)\nprint(state.value)"
    boards = []
    for number in range(3):
        path = make_board(tmp_path / f"{number}.bin", program, state="value = 0")
        boards.append(Board(path, runtime="cpython").run(wall_s=LIMIT_S))
    assert [console(list(events)) for events in boards] == [["1"]] * 3


def test_packages_and_relative_imports_work_as_on_the_board(flash: Path) -> None:
    files = {
        "main.py": "from pack import inner\nimport pack.deep.leaf as leaf\nfrom pack.deep import leaf as same\n"
        "print(inner.word, leaf.word, same is leaf)",
        "pack/__init__.py": "",
        "pack/inner.py": "from .deep.leaf import word\nfrom . import other\nword += other.word",
        "pack/other.py": "word = '!'",
        "pack/deep/__init__.py": "",
        "pack/deep/leaf.py": "word = 'leaf'",
    }
    make_flash(flash, (("ota_0", app_image()), ("vfs", file_system(files))))
    for runtime in RUNTIMES:
        assert console(play(Board(flash, runtime=runtime))) == ["leaf! leaf True"]


READ_ONLY = """
import vfs, sys
from esp32 import Partition

class Files:
    def readblocks(self, block, buffer, offset=0):
        Partition("data").readblocks(block, buffer, offset)
    def ioctl(self, operation, argument):
        return {4: 15, 5: 4096}.get(operation, 0)

vfs.mount(Files(), "/release", readonly=True)
sys.path.insert(0, "/release")
import product
print(product.name, product.__file__)
try:
    open("/release/new", "w")
except OSError as error:
    print(error.args[0])
"""


@runtimes
def test_a_file_system_in_another_partition_is_mounted_and_imported_from(flash: Path, runtime: str) -> None:
    make_board(flash, READ_ONLY, extra=(("data", file_system({"product.py": "name = 'thermometer'"})),))
    assert console(play(Board(flash, runtime=runtime))) == ["thermometer /release/product.py", "30"]


STREAM = """
import network, select, socket, time
wlan = network.WLAN(network.STA_IF)
wlan.active(True)
try:
    socket.getaddrinfo("127.0.0.1", PORT)
except OSError:
    print("no network")
wlan.connect("workshop", "thermometer")
while not wlan.isconnected():
    time.sleep_ms(5)
address = socket.getaddrinfo("127.0.0.1", PORT)[0][-1]
s = socket.socket()
s.setblocking(False)
try:
    s.connect(address)
except OSError as error:
    print(error.args[0])
poll = select.poll()
poll.register(s, select.POLLOUT)
print(poll.poll(1000)[0][0] is s)
buffer = bytearray(10)
print(s.readinto(buffer), s.read(4))
print(s.write(b"ping\\n"))
poll.modify(s, select.POLLIN)
got = b""
while len(got) < 8:
    poll.poll(200)
    got += s.read(8 - len(got)) or b""
print(got)
poll.poll(1000)
print(s.readinto(buffer), s.read(1))
s.close()
"""


@runtimes
def test_streams_answer_none_where_they_would_block(flash: Path, runtime: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        make_board(flash, STREAM.replace("PORT", str(server.getsockname()[1])))

        def serve() -> None:
            with server.accept()[0] as peer:
                peer.recv(5)
                peer.sendall(b"pong")
                time.sleep(0.05)
                peer.sendall(b"pong")

        thread = threading.Thread(target=serve)
        thread.start()
        events = play(Board(flash, runtime=runtime))
        thread.join()
    assert console(events) == ["no network", "115", "True", "None None", "5", "b'pongpong'", "0 b''"]


def test_heap_is_measured_without_the_shim(flash: Path) -> None:
    program = """
from esp32 import Partition
data = Partition("data")
data.writeblocks(0, bytearray(4096))
kept = bytearray(20000)
data.writeblocks(0, memoryview(kept)[:4096])
"""
    make_board(flash, program)
    board = Board(flash, World(measure_heap=True))
    play(board)
    assert 20000 < board.heap_peak_bytes < 40000
    assert 30000 < board.heap_shim_bytes < shimcode.HEAP_KIB * 1024


def test_the_heap_is_limited(flash: Path) -> None:
    make_board(flash, "print(len(bytearray(150000)))\nprint(len(bytearray(300000)))")
    lines = console(play(Board(flash)))
    assert lines[0] == "150000"
    assert lines[-1].startswith("MemoryError")


def test_flash_operations_take_the_time_the_world_gives_them(flash: Path) -> None:
    program = """
from esp32 import Partition
import time
start = time.ticks_ms()
Partition("data").writeblocks(0, bytearray(8192))
print(time.ticks_diff(time.ticks_ms(), start))
"""
    make_board(flash, program)
    world = World(flash={"erase_ms": 45, "program_ms": 10})
    lines = console(play(Board(flash, world, runtime="cpython", virtual_time=True)))
    assert 110 <= int(lines[0]) < 150


def test_a_file_that_is_no_flash_image_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "no.bin"
    path.write_bytes(b"\xff" * 0x9000)
    with pytest.raises(ToolError, match="no partition table"):
        Board(path)
    with pytest.raises(ToolError, match="can't be read"):
        Board(tmp_path / "absent.bin")
    with pytest.raises(ToolError, match="no runtime"):
        Board(make_board(tmp_path / "a.bin", ""), runtime="java")
