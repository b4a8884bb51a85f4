"""`thermokeeper deploy`: mpremote's raw prompt on a pseudo terminal, unix MicroPython behind it, and the next boot."""

from __future__ import annotations

import shutil
import time

import pytest

from fake_flash import NEW, otadata_entry
from lives.kit import MICROPYTHON
from release_support import tool
from thermokeeper.board import deploy
from thermokeeper.board.link import Link, linked
from thermokeeper.errors import ToolError
from thermokeeper.formats.partitions import table_for
from thermokeeper.image.describe import describe
from thermokeeper.release.filesystem import unpack


def change(path, old, new):
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def deployed(flash):
    """The files in /deployed, as they lie in flash."""
    part = table_for("4MiB")["vfs"]
    files = unpack(flash.read_bytes()[part.offset : part.offset + part.size])
    assert {"boot.py", "main.py"} <= set(files)
    return {path.removeprefix("deployed/"): data for path, data in files.items() if path.startswith("deployed/")}


def test_a_changed_file_runs_at_once_and_only_it_is_copied(bench, flash, lib):
    change(lib / "thermometer/app.py", "def run():\n", "def run():\n    print('tk: mine: one')\n")
    seen = len(bench.events)
    said = tool("deploy", "--port", bench.port.path, "--lib", lib)
    assert "runs the deployed copy of thermometer/app.mpy" in said
    assert said.count("bytes") == 2  # and start.py
    bench.says("tk: boot: runs the deployed copy of thermometer/app.mpy", seen)
    bench.says("tk: mine: one", seen)
    bench.says("tk: reading", seen)
    assert sorted(deployed(flash)) == ["lib/thermometer/app.mpy", "over", "start.py"]
    change(lib / "thermometer/app.py", "tk: mine: one", "tk: mine: two")
    (lib / "thermometer/more.py").write_text("WORD = 'new'\n")
    seen = len(bench.events)
    said = tool("deploy", "--port", bench.port.path, "--lib", lib)
    assert "thermometer/__init__.mpy" in said, "the modules of a folder are one"
    bench.says("tk: mine: two", seen)
    said = tool("deploy", "--port", bench.port.path, "--lib", lib)
    assert "bytes" not in said and "runs the deployed copy" in said, "nothing is copied twice"


def test_boot_and_main_run_in_place_of_the_board_s_own_which_stay(bench, flash, lib):
    boot, main = (lib.parent / name for name in ("boot.py", "main.py"))
    change(boot, "import hashlib\n", "import hashlib\n\nprint('tk: boot: my own boot')\n")
    change(main, "gc.threshold(1024)\n", "gc.threshold(1024)\n    print('tk: main: my own main')\n")
    seen = len(bench.events)
    said = tool("deploy", "--port", bench.port.path, "--lib", lib)
    assert "my own boot" not in said and "runs the deployed copy of boot.py, main.py" in said
    bench.says("tk: boot: my own boot", seen)
    bench.says("tk: main: my own main", seen)
    bench.says("tk: reading", seen)
    bench.off()
    part = table_for("4MiB")["vfs"]
    files = unpack(flash.read_bytes()[part.offset : part.offset + part.size])
    assert b"my own" not in files["boot.py"] + files["main.py"]


def test_clear_takes_everything_off_and_the_release_runs(bench, flash, lib):
    change(lib / "thermometer/app.py", "def run():\n", "def run():\n    print('tk: mine: one')\n")
    tool("deploy", "--port", bench.port.path, "--lib", lib)
    seen = len(bench.events)
    assert "1 file taken off" in tool("deploy", "--port", bench.port.path, "--clear")
    number = bench.says("machine.reset()", seen)
    bench.says("tk: reading", number)
    assert not [event.text for event in bench.events[number:] if "mine" in event.text or "deployed" in event.text]
    assert deployed(flash) == {}
    assert "nothing was deployed" in tool("deploy", "--port", bench.port.path, "--clear")


def test_a_file_that_is_gone_is_not_found_in_the_release_either(bench, lib):
    (lib / "thermometer/measuring/display.py").unlink()
    change(lib / "thermometer/app.py", "from thermometer.measuring.display import show\n", "")
    change(lib / "thermometer/app.py", "show(self._sampler.last_value)", "print('tk: mine: no display')")
    change(
        lib / "thermometer/app.py",
        "def run():\n",
        "def run():\n    try:\n        import thermometer.measuring.display\n"
        "    except ImportError:\n        print('tk: mine: it is gone')\n",
    )
    seen = len(bench.events)
    tool("deploy", "--port", bench.port.path, "--lib", lib)
    bench.says("tk: mine: it is gone", seen)
    bench.says("tk: mine: no display", seen)


def test_the_release_s_own_files_undo_what_was_deployed(bench, flash, lib):
    shutil.copytree(lib.parent, lib.parents[1] / "before")
    change(lib / "thermometer/app.py", "def run():\n", "def run():\n    print('tk: mine: one')\n")
    tool("deploy", "--port", bench.port.path, "--lib", lib)
    said = tool("deploy", "--port", bench.port.path, "--lib", lib.parents[1] / "before/lib")
    assert "nothing differs from the release" in said
    assert deployed(flash) == {}


def test_an_update_puts_the_deployed_copy_aside_and_says_so(bench, flash, lib, foundry):
    change(lib / "thermometer/app.py", "def run():\n", "def run():\n    print('tk: mine: one')\n")
    tool("deploy", "--port", bench.port.path, "--lib", lib)
    bench.off()
    data = bytearray(flash.read_bytes())
    release = foundry.flash(foundry.release("1.1.0", MICROPYTHON.source))
    slot = table_for("4MiB")["ota_0"]
    data[slot.offset : slot.offset + slot.size] = release[slot.offset : slot.offset + slot.size]
    flash.write_bytes(data)
    assert describe(bytes(data))["slots"]["ota_0"]["version"] == "1.1.0"
    again = type(bench)(flash)
    try:
        again.says("tk: boot: what was deployed is for another release and left aside")
        again.says("tk: reading")
        assert not [text for text in again.said if "mine" in text]
        said = tool("deploy", "--port", again.port.path, "--lib", lib)  # deployed anew, over the new release
        assert "runs the deployed copy of thermometer/app.mpy" in said
    finally:
        again.close()


def test_a_deployed_copy_that_keeps_ending_is_left_aside(bench, lib):
    change(lib / "thermometer/app.py", "def run():\n", "def run():\n    import machine\n\n    machine.reset()\n")
    seen = len(bench.events)
    tool("deploy", "--port", bench.port.path, "--lib", lib)
    number = bench.says("tk: boot: what was deployed keeps ending and is left aside", seen)
    assert sum("runs the deployed copy" in text for text in bench.said) == 3
    bench.says("tk: safe", number)


def test_a_deploy_that_is_cut_off_anywhere_leaves_a_board_that_runs_its_release(bench, flash, lib, monkeypatch):
    change(lib / "thermometer/app.py", "def run():\n", "def run():\n    print('tk: mine: one')\n")
    tool("deploy", "--port", bench.port.path, "--lib", lib)
    change(lib / "thermometer/app.py", "tk: mine: one", "tk: mine: two")
    run = Link.run
    for last in ("os.remove", "_hash(path)"):  # the mark is off, the files are there but not the mark

        def cut(self, code, last=last):
            said = run(self, code)
            if last in code and "/deployed" in code and "over" not in deployed(flash):
                raise OSError("the cable is out")
            return said

        with monkeypatch.context() as patch, pytest.raises(ToolError, match="the connection is lost"):
            patch.setattr(Link, "run", cut)
            tool("deploy", "--port", bench.port.path, "--lib", lib)
        assert "over" not in deployed(flash)
        seen = len(bench.events)
        with linked(bench.port.path) as link:
            link.stop_program()
            link.restart()  # so that it doesn't look like a crash loop
        bench.says("tk: reading", seen)
        assert not [event.text for event in bench.events[seen:] if "tk: mine" in event.text]
    tool("deploy", "--port", bench.port.path, "--lib", lib)
    assert "over" in deployed(flash)


def test_copying_is_not_cut_short_by_the_watchdog(bench):
    with linked(bench.port.path) as link:
        link.stop_program()
        link.run("import machine\nmachine.WDT(timeout=1000)")
        link.run(deploy._BEGIN)
        time.sleep(2.5)
        assert link.run("print(1 + 1)").strip() == "2"
    assert "watchdog" not in [event.kind for event in bench.events]
    with linked(bench.port.path) as link:
        link.stop_program()
        link.run("machine.WDT(timeout=60000)")


def test_more_than_fits_is_refused_with_a_way_out(bench, flash, lib):
    for path in sorted(lib.rglob("*.py")):
        path.write_text(path.read_text() + "\n_MORE = 1\n")
    with pytest.raises(
        ToolError, match=r"files differ from the release .* KiB free there .*flash or publish a release"
    ):
        tool("deploy", "--port", bench.port.path, "--lib", lib)
    assert "over" not in deployed(flash)


def test_a_file_that_does_not_compile_stops_nothing(bench, lib):
    (lib / "thermometer/app.py").write_text("def run(:\n")
    seen = len(bench.events)
    with pytest.raises(ToolError, match=r"thermometer/app.py doesn't compile"):
        tool("deploy", "--port", bench.port.path, "--lib", lib)
    bench.says("tk: reading", seen)


def test_a_release_on_trial_is_not_disturbed(bench, flash, lib):
    bench.off()
    data = bytearray(flash.read_bytes())
    part = table_for("4MiB")["otadata"]
    entry = otadata_entry(1, NEW)
    data[part.offset : part.offset + part.size] = entry + b"\xff" * (part.size - len(entry))
    flash.write_bytes(data)
    change(lib / "thermometer/app.py", "def run():\n", "def run():\n    print('tk: mine: one')\n")
    again = type(bench)(flash)
    try:
        again.says("runs release 1.0.0, on trial")
        again.says("tk: reading")
        seen = len(again.events)
        with pytest.raises(ToolError, match="is on trial; deploy when it has been confirmed"):
            tool("deploy", "--port", again.port.path, "--lib", lib)
        again.says("runs release 1.0.0, on trial", seen)
        again.says("tk: reading", seen)
        assert deployed(flash) == {}
    finally:
        again.close()


def test_a_board_without_a_release_is_refused(bench, flash, lib):
    bench.off()
    data = bytearray(flash.read_bytes())
    at = data.index(b"TKREL001", 0x10000)
    data[at : at + 8] = b"NOTHING."
    flash.write_bytes(data)
    again = type(bench)(flash)
    try:
        again.says("no release in the running slot")
        with pytest.raises(ToolError, match="runs no release that files could be deployed over"):
            tool("deploy", "--port", again.port.path, "--lib", lib)
    finally:
        again.close()
