"""boot.py and main.py: the running slot's release is found and mounted; whatever fails ends in a line and a reset."""

import gc
import hashlib
import io
import json
import struct
import sys
import time
from binascii import crc32, hexlify

from fake_flash import VALID, boot, otadata, slot_content
from images import application
from keeper.nvs.state import Store
from support import raises, read_file
from support_flash import app_image, board

HEAP_KIB = 1024

if sys.implementation.name == "cpython":
    from thermokeeper.simulator.on_cpython.filesystem import Files

    vfs = Files().vfs_module()
else:
    import vfs

ROOT = __file__.rpartition("/tests/")[0] or "."
if __file__.startswith("tests/"):
    ROOT = "."


class RamDevice:
    """A block device in memory."""

    def __init__(self, blocks):
        self.data = bytearray(b"\xff" * (blocks * 4096))

    def readblocks(self, block, buffer, offset=0):
        at = block * 4096 + offset
        buffer[:] = self.data[at : at + len(buffer)]

    def writeblocks(self, block, buffer, offset=0):
        at = block * 4096 + offset
        self.data[at : at + len(buffer)] = buffer

    def ioctl(self, command, argument):
        if command == 4:
            return len(self.data) // 4096
        if command == 5:
            return 4096
        if command == 6:
            self.data[argument * 4096 : argument * 4096 + 4096] = b"\xff" * 4096
        return 0


def _file_system():
    """A LittleFS2 image with one module."""
    device = RamDevice(4)
    vfs.VfsLfs2.mkfs(device)
    made = vfs.VfsLfs2(device)
    file = made.open("/hello.py", "w")
    file.write("WORD = 'from the release'\n")
    file.close()
    made.umount()
    return bytes(device.data)


FS = _file_system()
APP = application(5000)


def _header(text, size=None):
    """A release's header as boot.py looks at it: neither signature nor the manifest's other fields matter to it."""
    text = text if isinstance(text, bytes) else json.dumps(text).encode()
    data = b"TKREL001" + struct.pack("<H", len(text) if size is None else size) + text
    return data + b"\xff" * (4096 - len(data))


FS_PART = {"name": "fs", "size": len(FS), "sha256": hexlify(hashlib.sha256(FS).digest()).decode()}
MANIFEST = {"product": "thermometer", "security": 1, "parts": [{"name": "app", "size": len(APP)}, FS_PART]}
SLOT = slot_content(APP, _header(MANIFEST), FS)


class Boot:
    """`with Boot(slot) as boot:` boot.py has run with this in the running slot; what it printed and mounted."""

    def __init__(self, content, running="ota_0", deployed=None, name="__main__"):
        self._board = board([(running, content)], running)
        self._deployed = deployed or {}
        self._name = name

    def __enter__(self):
        self._board.__enter__()
        self.lines = []
        self._path = sys.path[:]
        self._modules = sys.modules.get("vfs")
        sys.modules["vfs"] = vfs
        self.names = space = {
            "__name__": self._name,
            "print": lambda *words: self.lines.append(" ".join([str(word) for word in words])),
            "open": self._open,
        }
        try:
            exec(read_file(ROOT + "/boot.py").decode(), space)
        finally:
            self.path, sys.path[:] = sys.path[:], self._path
        self.mounted = [fs for fs, path in vfs.mount() if path == "/release"]
        return self

    def _open(self, path, mode="r"):
        if path not in self._deployed:
            raise OSError(2)
        content = self._deployed[path]
        return io.BytesIO(content) if mode == "rb" else io.StringIO(content.decode())

    def __exit__(self, *error):
        if self.mounted:
            vfs.umount("/release")
        if self._modules is None:
            sys.modules.pop("vfs")
        else:
            sys.modules["vfs"] = self._modules
        return self._board.__exit__(*error)


def _finds_nothing(content):
    with Boot(content) as boot:
        assert boot.mounted == []
        assert "/release" not in boot.path
        assert len(boot.lines) == 1, boot.lines
        assert boot.lines[0].startswith("tk: boot: no release in the running slot: "), boot.lines


def test_the_release_in_the_running_slot_is_mounted_and_comes_first_on_the_path():
    for running in ("ota_0", "ota_1"):
        with Boot(SLOT, running) as boot:
            assert boot.lines == []
            assert boot.path[0] == "/release"
            file = boot.mounted[0].open("/hello.py", "r")
            assert file.read() == "WORD = 'from the release'\n"
            file.close()


def test_the_release_s_files_can_t_be_changed():
    with Boot(SLOT) as boot, raises(OSError):
        boot.mounted[0].open("/new.py", "w")


class _Slot:
    """A slot of five blocks, no two pieces of which are alike; it counts its reads."""

    def __init__(self):
        self.data = b"".join([hashlib.sha256(b"%d" % number).digest() for number in range(5 * 4096 // 32)])
        self.reads = 0
        self.broken = False

    def readblocks(self, block, buffer, offset=0):
        if self.broken:
            raise OSError(5)
        self.reads += 1
        at = block * 4096 + offset
        buffer[:] = self.data[at : at + len(buffer)]


def test_reads_of_flash_that_are_kept_are_the_same_as_those_that_are_not():
    with Boot(SLOT) as boot:
        size, kept = boot.names["_READ_SIZE"], boot.names["_KEPT"]
        slot = _Slot()
        files = boot.names["_ReleaseFiles"](slot, 4096, 4 * 4096)
        number = 1
        for turn in range(4000):
            number = number * 1103515245 + 12345 & 0x7FFFFFFF  # the same on both runtimes
            length = (size, size, size, 2 * size, 4096)[(number >> 8) % 5]
            place = (number >> 16) % ((kept + 4) * 3) * size % (4 * 4096 - length)
            place -= place % length if length == 4096 else 0
            buffer = bytearray(length)
            files.readblocks(place // 4096, memoryview(buffer), place % 4096)
            assert buffer == slot.data[4096 + place : 4096 + place + length], (turn, place, length)


def test_of_the_last_small_reads_none_is_made_twice():
    with Boot(SLOT) as boot:
        size, kept = boot.names["_READ_SIZE"], boot.names["_KEPT"]
        slot = _Slot()
        files = boot.names["_ReleaseFiles"](slot, 0, 5 * 4096)
        for reads in (kept, kept):
            for i in range(kept):
                files.readblocks(1, memoryview(bytearray(size)), i * size)
            assert slot.reads == reads
        files.readblocks(2, memoryview(bytearray(4 * size)), 0)  # content: it pushes nothing out
        files.readblocks(1, memoryview(bytearray(size)), 0)
        assert slot.reads == kept + 1
        files.readblocks(2, memoryview(bytearray(size)), 0)  # this one does
        files.readblocks(1, memoryview(bytearray(size)), 0)
        assert slot.reads == kept + 3


def test_a_read_that_failed_is_not_kept():
    with Boot(SLOT) as boot:
        slot = _Slot()
        files = boot.names["_ReleaseFiles"](slot, 0, 5 * 4096)
        buffer = bytearray(boot.names["_READ_SIZE"])
        slot.broken = True
        with raises(OSError):
            files.readblocks(0, memoryview(buffer), 0)
        slot.broken = False
        files.readblocks(0, memoryview(buffer), 0)
        assert buffer == slot.data[: len(buffer)]


def test_applications_of_every_form_are_measured_rightly():
    forms = [application(3900), application(9000, with_hash=False), app_image(segments=3), application(20000)]
    # the checksum's 16 bytes, or the hash's 32, go over a block's end
    forms += [app_image(size=4064, hashed=False), app_image(size=4048)]
    assert [len(form) for form in forms[-2:]] == [4096 + 16, 4096 + 32]
    for app in forms:
        with Boot(slot_content(app, _header(MANIFEST), FS)) as boot:
            assert boot.lines == [], len(app)
            assert len(boot.mounted) == 1


def test_a_manifest_of_any_length_is_read():
    for size in (400, 3702):
        manifest = dict(MANIFEST)
        manifest["fill"] = "x" * (size - len(json.dumps(MANIFEST)) - len(', "fill": ""'))
        header = _header(manifest)
        assert struct.unpack("<H", header[8:10])[0] == size
        with Boot(slot_content(APP, header, FS)) as boot:
            assert boot.lines == []


def test_a_release_of_a_later_format_is_mounted_as_well():
    later = {
        "format": 7,
        "parts": [{"name": "boot", "size": 5}, {"name": "app", "size": 1}, {"size": len(FS), "name": "fs"}],
    }
    header = b"TKREL007" + _header(later)[8:]
    with Boot(slot_content(APP, header, FS)) as boot:
        assert boot.lines == []
        assert len(boot.mounted) == 1


def test_a_slot_without_a_release_is_reported():
    _finds_nothing(APP)
    _finds_nothing(APP + b"\x00" * 8192)
    _finds_nothing(b"")
    _finds_nothing(application(5000)[:24] + struct.pack("<II", 0, 0x7FFFFFFF))


def test_an_application_that_fills_its_slot_leaves_no_room_for_a_release():
    image = APP[:24]
    size = 0x10000 - 24 - 16 - 48
    _finds_nothing(bytes([image[0], 1]) + image[2:] + struct.pack("<II", 0, size))


def test_a_damaged_header_is_reported():
    odd = (
        b"",
        b"{",
        b"\xff" * 50,
        b"\x80\x81",
        b"[]",
        b"7",
        b'"text"',
        b"null",
        b"{}",
        b'{"parts": 5}',
        b'{"parts": []}',
        b'{"parts": ["fs"]}',
        b'{"parts": [{"name": "fs"}]}',
        b'{"parts": [{"size": 8192}]}',
        b'{"parts": [{"name": "fs", "size": "8192"}]}',
        b'{"parts": [{"name": "fs", "size": null}]}',
        b'{"parts": [{"name": "fs", "size": {}}]}',
        b"[" * 3700,
        b'{"a":' * 700,
    )
    for text in odd:
        _finds_nothing(slot_content(APP, _header(text), FS))
    for size in (0, 3, 4086, 0xFFFF):
        _finds_nothing(slot_content(APP, _header(MANIFEST, size), FS))


def test_a_damaged_file_system_is_reported():
    for fs in (b"", b"\xff" * len(FS), b"\x00" * len(FS), FS[:16] + bytes(8176) + FS[8192:]):
        _finds_nothing(slot_content(APP, _header(MANIFEST), fs))


def test_one_bit_of_the_files_that_rots_is_noticed_before_they_are_mounted():
    for at in (0, 5000, len(FS) - 1):
        rotten = FS[:at] + bytes([FS[at] ^ 4]) + FS[at + 1 :]
        with Boot(slot_content(APP, _header(MANIFEST), rotten)) as boot:
            assert boot.mounted == [] and boot.names["running_release"] is None
            assert boot.lines == ["tk: boot: no release in the running slot: its files are damaged"]


def test_ctrl_c_is_switched_off_before_anything_else_and_one_that_came_before_ends_nothing():
    """main.py isn't run after a boot.py that ended by an exception (ports/esp32/main.c): the board would stay there."""
    asked = []

    class Interrupted:
        @staticmethod
        def kbd_intr(character):
            asked.append(character)
            if len(asked) == 1:
                raise KeyboardInterrupt

    real = sys.modules.get("micropython")
    sys.modules["micropython"] = Interrupted
    try:
        with Boot(SLOT) as boot:
            assert boot.lines == [] and len(boot.mounted) == 1
    finally:
        if real is None:
            sys.modules.pop("micropython")
        else:
            sys.modules["micropython"] = real
    assert asked == [-1, -1]
    first = read_file(ROOT + "/boot.py").decode().split('"""')[2]
    lines = [line for line in first.split("\n") if line.strip() and not line.startswith("#")]
    assert lines[0] == "while True:" and lines[1].strip() == "try:", "nothing may come before that"


def test_a_size_beyond_the_slot_or_negative_is_survived():
    for size in (-4096, 0, 1 << 40):
        manifest = {"parts": [{"name": "fs", "size": size}]}
        with Boot(slot_content(APP, _header(manifest), b"")) as boot:
            assert boot.mounted == []


# what was deployed

OVER = hashlib.sha256(_header(MANIFEST)).digest()
START = b"print('started')\nleft_by_start = 1\n"


def _deployed(over, start=START):
    return {"/deployed/over": over, "/deployed/start.py": start}


def test_what_was_deployed_over_this_release_is_started_in_boot_py_s_own_names():
    for running in ("ota_0", "ota_1"):
        with Boot(SLOT, running, _deployed(OVER)) as boot:
            assert boot.lines == ["started"]
            assert boot.names["left_by_start"] == 1
            assert boot.names["running_release"] == OVER
            assert len(boot.mounted) == 1


def test_what_was_deployed_over_another_release_is_left_aside_and_that_is_said():
    for over in (b"", b"\0" * 32, OVER[:31], OVER + b"\n"):
        with Boot(SLOT, deployed=_deployed(over)) as boot:
            assert len(boot.lines) == 1 and "for another release and left aside" in boot.lines[0]
            assert "left_by_start" not in boot.names
            assert boot.path[0] == "/release"
    with Boot(APP, deployed=_deployed(OVER)) as boot:
        assert len(boot.lines) == 2 and "left aside" in boot.lines[1]


def test_files_without_their_mark_do_nothing():
    with Boot(SLOT, deployed={"/deployed/start.py": START, "/deployed/over.new": OVER}) as boot:
        assert boot.lines == [] and "left_by_start" not in boot.names


def test_what_was_deployed_and_fails_leaves_the_release():
    for start in (b"(", b"1 / 0", b"import nothing_like_this", b"\x00\x01", b"raise OSError(5)"):
        with Boot(SLOT, deployed=_deployed(OVER, start)) as boot:
            assert len(boot.lines) == 1, boot.lines
            assert boot.lines[0].startswith("tk: boot: what was deployed doesn't start: ")
            assert boot.path[0] == "/release"
    with Boot(SLOT, deployed={"/deployed/over": OVER}) as boot:
        assert "doesn't start" in boot.lines[0]


def test_a_boot_py_that_was_deployed_itself_starts_nothing_more():
    with Boot(SLOT, deployed=_deployed(OVER), name="deployed") as boot:
        assert boot.lines == [] and boot.path[0] == "/release"


# main.py


_ENDED = "tk: main: the application ended; reset in 10 s (Ctrl-C stops it)"


class Over(Exception):
    """The board was reset."""


class _Rtc:
    """RTC memory: a reset keeps it, a power cut clears it."""

    kept = b""

    def memory(self, data=None):
        if data is None:
            return _Rtc.kept
        _Rtc.kept = bytes(data)


class _Machine:
    RTC = _Rtc
    PWRON_RESET, SOFT_RESET = 1, 5
    cause = PWRON_RESET

    @staticmethod
    def reset_cause():
        return _Machine.cause

    watchdogs = []

    @staticmethod
    def WDT(timeout):
        _Machine.watchdogs.append(timeout)

    @staticmethod
    def reset():
        raise Over


class _Stand:
    """In the place of a module for main.py; other threads find the real one's members behind it.

    A server that runs in this process meanwhile needs that: CPython's C code imports `time` anew at each use.
    """

    def __init__(self, module):
        self._module = module

    def __getattr__(self, name):
        return getattr(self._module, name)


class _Gc(_Stand):
    def threshold(self, size):
        """CPython's has another meaning."""


class _Time(_Stand):
    slept = 0

    def sleep_ms(self, duration_ms):
        self.slept += duration_ms


class _Module:
    def __init__(self, action):
        if action:
            self.run = action


def _start(action, safe=None, wake=None, lines=None, **names):
    """main.py once, to its reset; what it printed. `action`: the application's run (None: there is none in it).

    wake: what the release does before; without, it has nothing of the kind.
    """
    lines, clock = [] if lines is None else lines, _Time(time)
    replaced = {"thermometer": _Module(None), "thermometer.app": _Module(action), "thermometer.safe": _Module(safe)}
    replaced.update({"machine": _Machine, "time": clock, "gc": _Gc(gc)})
    replaced["thermometer.wiring"] = wiring = _Module(None)
    if wake:
        wiring.wake = wake
    real = {name: sys.modules.get(name) for name in replaced}
    lent = not hasattr(sys, "print_exception")
    if lent:
        sys.print_exception = lambda error: None
    sys.modules.update(replaced)
    try:
        names.update({"__name__": "__main__", "print": lambda *words: lines.append(words[0])})
        with raises(Over):
            exec(read_file(ROOT + "/main.py").decode(), names)
    finally:
        for name, module in real.items():
            if module is None:
                sys.modules.pop(name)
            else:
                sys.modules[name] = module
        if lent:
            del sys.print_exception
    assert clock.slept >= 5_000 or "gets a trial" in lines[-1], "time to stop it from a terminal"
    return lines


def _rtc(count, note=b""):
    """RTC memory as main.py keeps it."""
    content = bytes([count]) + note
    return b"TK" + crc32(content).to_bytes(4, "little") + content


def _starts(count, other=SLOT, causes=None, policy=None):
    """What ran in so many starts of an application that ends at once: "app", "safe", or "" for the other slot.

    other: what lies there; causes: of the starts, a power-on and then resets; policy: the record in NVS.
    """
    parts = [("ota_0", APP)] + otadata((1, VALID)) + ([("ota_1", other)] if other else [])
    ran = []
    with board(parts) as sim:
        if policy:
            Store().save("policy", policy)
        _Rtc.kept = b""
        for number in range(count):
            _Machine.cause = (causes or (_Machine.PWRON_RESET,) + (2,) * count)[number]
            before = len(ran)
            said = _start(lambda: ran.append("app"), lambda: ran.append("safe"), release_in=_RELEASE_IN)
            if len(ran) == before:
                ran.append("")
                assert boot(sim.path) == "ota_1"
            elif len(said) > 1:
                ran[-1] += ": " + said[0].rpartition(": ")[2]
        if "" not in ran:
            assert boot(sim.path) == "ota_0"
    return ran


def _release_in():
    with Boot(SLOT) as boot:
        return boot.names["release_in"]


_RELEASE_IN = _release_in()
_ROUND = ["app"] * 3 + ["safe"]


def _fail(error):
    def action():
        raise error

    return action


def test_an_application_that_ends_in_any_way_is_started_again_by_a_reset():
    errors = (ValueError("x"), MemoryError(), OSError(5), SystemExit(0))
    for action in (None, lambda: None) + tuple(_fail(error) for error in errors):
        _Rtc.kept = b""
        assert _start(action) == [_ENDED]


def test_the_watchdog_runs_before_the_application_does():
    _Rtc.kept = b""
    del _Machine.watchdogs[:]
    seen = []
    _start(lambda: seen.extend(_Machine.watchdogs))
    assert len(seen) == 1 and 60_000 < seen[0] <= 180_000


def test_a_release_that_keeps_ending_gets_its_safe_mode_twice_and_then_the_other_slot_a_trial():
    assert _starts(10) == _ROUND + _ROUND + ["", "app"]


def test_where_no_other_slot_can_start_the_rounds_begin_anew():
    for other in (None, b"\0" * 20_000, APP):
        ran = _starts(13, other)
        assert ran[:8] == _ROUND + _ROUND and ran[9:] == ["app", "app", "safe", "app"]
        assert ran[8].startswith("app: no ")


def _other(**changes):
    return slot_content(APP, _header(dict(MANIFEST, **changes)), FS)


def test_what_is_below_the_security_floor_or_trusts_only_revoked_keys_gets_no_trial():
    policy = {"floors": [["thermometer", 2]], "rest": 0, "revoked": ["k1"]}
    assert _starts(9, policy=policy)[8] == "app: the release in ota_1 is below the security version 2"
    revoked = "app: the release in ota_1 trusts revoked keys only"
    assert _starts(9, _other(security=2, key="k1"), policy=policy)[8] == revoked
    assert _starts(9, _other(security=2, key="k2", trust=["k1"]), policy=policy)[8] == revoked
    for good in (
        _other(security=2, key="k2"),
        _other(security=3, key="k1", trust=["k1", "k2"]),
        _other(product="another", key="k2"),
    ):
        assert _starts(9, good, policy=policy)[8] == ""
    assert _starts(9, _other(product="another"), policy=dict(policy, rest=2))[8].startswith("app: the release in")


def test_a_policy_that_makes_no_sense_keeps_no_board_from_its_way_out():
    for policy in ([7], {"floors": 5}, {"floors": [["thermometer"]]}, {"revoked": None}, {"floors": None}):
        assert _starts(9, policy=policy)[8] == "", policy


def test_starts_from_the_prompt_are_not_counted():
    assert _starts(9, causes=(_Machine.SOFT_RESET,) * 9) == ["app"] * 9


def test_brownouts_are_no_crashes_and_take_nothing_from_the_count():
    power_on = _Machine.PWRON_RESET  # what a brownout is taken for; RTC memory outlives it
    assert _starts(9, causes=(power_on,) * 9) == ["app"] * 9
    assert _starts(6, causes=(power_on, 2, power_on, 2, power_on, 2)) == ["app"] * 5 + ["safe"]


def test_what_another_program_left_in_rtc_memory_or_a_flipped_bit_is_not_taken_for_a_count():
    sound = _rtc(3, b"note")
    flipped = [sound[:at] + bytes([sound[at] ^ 8]) + sound[at + 1 :] for at in range(len(sound))]
    for left in [b"", b"TK", b"XX\xff", b"\xff" * 20, b"TK\x03note"] + flipped:
        _Machine.cause = 2
        _Rtc.kept = left
        assert _start(lambda: None, _fail(OSError())) == [_ENDED]
        assert _Rtc.kept == _rtc(1)


def test_what_the_application_died_of_is_noted_for_the_next_start():
    _Rtc.kept = b""
    _start(_fail(ValueError("a bug " + "x" * 200)))
    assert _Rtc.kept[7:] == (b"crash: ValueError: a bug " + b"x" * 200)[:100]
    _start(None, safe=None)
    assert _Rtc.kept[7:].startswith(b"crash: ")


def test_whoever_stops_it_has_ten_minutes_at_the_prompt():
    _Rtc.kept = b""
    del _Machine.watchdogs[:]
    lines = []
    with raises(KeyboardInterrupt):
        _start(_fail(KeyboardInterrupt()), lines=lines)
    assert _Machine.watchdogs[-1] == 600_000 and "stopped" in lines[0]


def test_a_main_py_that_was_deployed_runs_first_and_under_the_watchdog():
    ran = []
    del _Machine.watchdogs[:]
    _Rtc.kept = b""
    said = _start(lambda: ran.append("app"), deployed_main=lambda: ran.append("deployed %d" % len(_Machine.watchdogs)))
    assert ran == ["deployed 1", "app"] and said == [_ENDED]
    for error in (ValueError("x"), SystemExit(0)):
        assert _start(lambda: ran.append("app"), deployed_main=_fail(error)) == [_ENDED]
    assert len(ran) == 2


def test_a_release_wakes_before_its_application_or_its_safe_mode_is_loaded():
    order = []
    _Machine.cause = 2
    for before in (b"", _rtc(3)):
        _Rtc.kept = before
        _start(lambda: order.append("app"), lambda: order.append("safe"), wake=lambda: order.append("wake"))
    assert order == ["wake", "app", "wake", "safe"]


def test_a_release_that_fails_to_wake_has_failed_to_start():
    _Rtc.kept = b""
    ran = []
    for error in (OSError(5), ImportError("no module named 'x'")):
        assert _start(lambda: ran.append("app"), wake=_fail(error)) == [_ENDED]
    assert ran == [] and _Rtc.kept[6] == 2
