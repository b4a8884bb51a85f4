"""A release into the other slot: decided before anything is erased, and a release only once all of it is there."""

import gc
import hashlib
import struct
import sys

if sys.implementation.name == "cpython":
    import cpython_streams  # noqa: F401
from fake_device import brought
from fake_flash import PENDING, SLOT_SIZE, SLOTS, VALID, boot, flash_bytes, otadata, slot_content
from fakes import Stream
from images import application, image, partition_table
from keeper import release
from keeper.admitting import admit
from keeper.board.layout import Layout
from keeper.board.slots import Slots
from keeper.errors import NetError, ReleaseError, SlotError
from keeper.services.version import Version
from keeper.updating.checkpoint import Checkpoint
from keeper.updating.download import Download
from keeper.updating.installer import Installer
from releases import KEY_ID, KEYS, header, manifest
from support import raises, temp_dir, write_file
from support_flash import Ended, attach, board

HEAP_KIB = 2048  # the releases of this file, and their signatures

OLD_APP, OLD_FS = application(6000, fill=1), b"old." * 1024
OLD = slot_content(OLD_APP, header(manifest(OLD_APP, OLD_FS, version="0.9.0"), signed=False), OLD_FS)
OTHER_APP, OTHER_FS = application(9000, fill=2), b"else" * 3072
OTHER = slot_content(OTHER_APP, header(manifest(OTHER_APP, OTHER_FS, version="0.8.0"), signed=False), OTHER_FS)
APP, FS = application(7000, fill=3), b"new." * 2048
FIELDS = manifest(APP, FS, version="1.0.0")
HEADER = header(FIELDS)
FILE = HEADER + APP + FS
CONTENT = slot_content(APP, HEADER, FS)

PARTS = [("ota_0", OLD), ("ota_1", OTHER)] + otadata((1, VALID))
HEADER_AT = SLOTS["ota_1"] + len(CONTENT) - len(FS) - 4096


class _OneFile:
    """A cloud that has one firmware."""

    def __init__(self, data, short_by=0, size=None, resumable=False):
        self._data = data
        self._short_by = short_by
        self._size = size
        self._resumable = resumable

    def open_release(self, version_id, offset=0, etag=None, size=None):
        stream = Stream(self._data, self._short_by, self._size)
        if self._resumable:
            stream.resume(offset if etag == stream.etag_of(self._data) else 0, size)
        return stream

    def rest(self):
        pass


class _Life:
    """What `admit` asks of a life cycle."""

    running = None, None

    def __init__(self, cloud):
        self.cloud = cloud
        self.standing = self

    def product(self):
        return "thermometer"

    def now(self):
        return None


def _admit(cloud, keys=None):
    with brought(KEYS if keys is None else keys):
        return admit(_Life(cloud), Version("v1", "1", "", None))


def _installer(pulse=None, progress=None):
    return Installer(Slots(), Checkpoint(), pulse or (lambda: None), progress)


def _install_from(cloud, admitted, installer):
    wanted, running, etag, resumable = admitted
    manifest = Layout(*wanted)
    download = Download(cloud, "v1", manifest.file_size, etag, resumable)
    try:
        installer.install(download, manifest, Layout(*running) if running else None)
    finally:
        download.close()


def _install(data, short_by=0, size=None, resumable=False, installer=None):
    cloud = _OneFile(data, short_by, size, resumable)
    _install_from(cloud, _admit(cloud), installer or _installer())


def _release_in(slot):
    """The manifest in a slot, or None."""
    found = bytearray(4096)
    offset = slot.header_offset()
    if offset is None:
        return None
    slot.read(offset, found)
    try:
        return release.parse(found)
    except ReleaseError:
        return None


def _in_slots(lines):
    """Those of the board's flash operations that are in the slots."""
    return [line for line in lines if line.startswith("op ") and 0x10000 <= int(line.split()[2]) < 0x30000]


def _refused_before_anything_is_erased(data, reason, error=ReleaseError, size=None, keys=None):
    with board(PARTS) as sim:
        lines = []
        sim.tell = lines.append
        with raises(error, reason):
            _admit(_OneFile(data, size=size), keys)
        assert _in_slots(lines) == []


def _refused_and_no_release_left(data, error, reason, short_by=0):
    """`data` need not be signed: that is decided before the part that is tested here."""
    for resumable in (False, True):
        with board(PARTS) as sim:
            before = sim.operations
            cloud = _OneFile(data, short_by, None, resumable)
            admitted = release.parse(data[:4096]).plain(), _release_in(Slots().running).plain(), None, resumable
            with raises(error, reason):
                _install_from(cloud, admitted, _installer())
            assert sim.operations > before
            assert _release_in(Slots().other) is None
            assert _release_in(Slots().running).version == "0.9.0"
            assert flash_bytes(sim.path, SLOTS["ota_0"], len(OLD)) == OLD
            assert boot(sim.path) == "ota_0"


def _unsigned(app):
    return header(manifest(app, FS), signed=False)


def test_a_release_lies_in_the_slot_byte_for_byte_and_boots():
    for parts in (PARTS, [("ota_0", OLD)], PARTS[:1] + [("ota_1", b"\x00" * 30000)]):
        with board(parts) as sim:
            installer = _installer()
            _install(FILE, size=len(FILE), installer=installer)
            assert flash_bytes(sim.path, SLOTS["ota_1"], len(CONTENT)) == CONTENT
            assert _release_in(Slots().other).version == "1.0.0"
            assert boot(sim.path) == "ota_0", "nothing is selected yet"
            Slots().select()
            assert boot(sim.path) == "ota_1"


def test_nothing_behind_the_release_is_written():
    with board([("ota_0", OLD), ("ota_1", b"\x77" * SLOT_SIZE)]) as sim:
        _install(FILE)
        rest = flash_bytes(sim.path, SLOTS["ota_1"] + len(CONTENT), SLOT_SIZE - len(CONTENT))
        assert rest == b"\x77" * len(rest)


def test_the_manifest_in_a_slot_is_read_and_only_a_whole_one():
    with board([("ota_0", OLD), ("ota_1", OLD_APP)]):
        assert _release_in(Slots().running).digest == _hash(OLD[len(OLD) - 8192 : -4096])
        assert _release_in(Slots().other) is None
    with board([("ota_0", OLD)]):
        assert _release_in(Slots().other) is None


def _hash(data):
    return "".join("%02x" % byte for byte in hashlib.sha256(data).digest())


def test_an_unsigned_release_is_refused():
    _refused_before_anything_is_erased(header(FIELDS, signed=False) + APP + FS, "isn't signed")


def test_a_changed_header_is_refused():
    for position in (HEADER.index(b"1.0.0"), 3711, 3712, 4095):
        changed = bytearray(HEADER)
        changed[position] ^= 1
        _refused_before_anything_is_erased(bytes(changed) + APP + FS, "signature is wrong")


def test_a_key_that_isn_t_trusted_is_refused():
    _refused_before_anything_is_erased(FILE, "isn't trusted", keys={})
    _refused_before_anything_is_erased(FILE, "isn't trusted", keys={"0" * 16: KEYS[KEY_ID]})


def test_another_product_is_refused():
    _refused_before_anything_is_erased(header(manifest(APP, FS, product="toaster")), "another product: toaster")


def test_another_chip_is_refused():
    _refused_before_anything_is_erased(header(manifest(APP, FS, chip="esp32s3")), "another chip: esp32s3")


def test_a_release_too_large_for_the_slot_is_refused():
    fields = manifest(APP, FS)
    fields["parts"][1]["size"] = SLOT_SIZE - len(CONTENT) + len(FS) + 4096
    _refused_before_anything_is_erased(header(fields), "needs a slot of 69632 bytes, there are 65536")


def test_a_file_of_another_length_than_the_manifest_says_is_refused():
    for size in (len(FILE) - 1, len(FILE) + 1, 0):
        _refused_before_anything_is_erased(FILE, "its manifest says", size=size)


def test_what_is_no_release_is_refused():
    _refused_before_anything_is_erased(APP + FS, "no release", NetError)
    _refused_before_anything_is_erased(b"", "ended", NetError)
    _refused_before_anything_is_erased(FILE[:4095], "ended", NetError)


def test_on_trial_nothing_is_written():
    with board([("ota_0", OLD), ("ota_1", OTHER)] + otadata((1, VALID), (2, PENDING)), "ota_1") as sim:
        lines = []
        sim.tell = lines.append
        with raises(SlotError, "the only way back"):
            _install(FILE)
        assert _in_slots(lines) == []


def test_a_part_with_a_wrong_hash_makes_no_release():
    for position in (4096 + 3000, 4096 + len(APP) - 1, 4096 + len(APP), len(FILE) - 1):
        changed = bytearray(FILE)
        changed[position] ^= 0x10
        part = "app" if position < 4096 + len(APP) else "fs"
        _refused_and_no_release_left(changed, ReleaseError, "part %s isn't what the manifest says" % part)


def test_a_stream_that_ends_early_makes_no_release():
    for end in (4096, 5000, 4096 + len(APP), 4096 + len(APP) + 1, len(FILE) - 1):
        _refused_and_no_release_left(FILE, NetError, "ended", len(FILE) - end)


def test_an_application_longer_than_its_image_is_refused():
    app = APP + b"\x00" * 4096
    _refused_and_no_release_left(_unsigned(app) + app + FS, ReleaseError, "its manifest says")


def test_an_application_shorter_than_its_image_is_refused():
    app = APP[:-4096]
    assert len(app) % 16 == 0
    _refused_and_no_release_left(_unsigned(app) + app + FS, ReleaseError, "larger than the %d bytes" % len(app))


def test_a_whole_flash_image_is_refused():
    boot_image = image([(0x3FFF0018, b"boot" * 8), (0x40078000, bytes(range(256)) * 8)])
    table = partition_table([("nvs", 1, 2, 0x9000, 0x6000)])
    merged = boot_image + b"\xff" * (0x7000 - len(boot_image)) + table
    data = _unsigned(merged) + merged + FS
    _refused_and_no_release_left(data, ReleaseError, "whole flash image")


def test_an_application_for_another_chip_than_its_manifest_s_is_refused():
    app = application(7000, chip_id=9)
    _refused_and_no_release_left(_unsigned(app) + app + FS, ReleaseError, "another chip: esp32s3")


class WornFlash:
    """A flash file of which one byte keeps some bits at 0."""

    def __init__(self, file, address, bits):
        self._file = file
        self._address = address
        self._bits = bits
        self._at = 0

    def seek(self, address):
        self._at = address
        self._file.seek(address)

    def readinto(self, buffer):
        return self._file.readinto(buffer)

    def write(self, data):
        position = self._address - self._at
        if 0 <= position < len(data):
            data = bytearray(data)
            data[position] &= ~self._bits
        self._file.write(data)

    def close(self):
        self._file.close()


def test_flash_that_doesn_t_hold_what_was_written_is_noticed_in_every_part():
    header_at = len(CONTENT) - len(FS) - 4096
    for position in (2000, header_at + 3, header_at + 4000, len(CONTENT) - 1):
        with board(PARTS) as sim:
            sim.flash = WornFlash(sim.flash, SLOTS["ota_1"] + position, CONTENT[position])
            with raises(SlotError, "ota_1 doesn't hold what was written"):
                _install(FILE)


def test_an_older_release_in_the_slot_loses_its_header_before_anything_else_is_written():
    with board(PARTS) as sim:
        lines = []
        sim.tell = lines.append
        _install(FILE)
        lines = _in_slots(lines)
        assert lines[0] == "op erase %d" % (SLOTS["ota_1"] + len(OTHER) - len(OTHER_FS) - 4096)
        assert lines[-1] == "op program %d" % HEADER_AT, "the new one comes last"
        assert len(lines) == 1 + 2 * len(CONTENT) // 4096


def test_an_older_release_s_header_goes_before_what_was_begun_is_gone_on_with():
    old_fs = b"same" * 1024
    same_place = slot_content(APP, header(manifest(APP, old_fs, version="0.7.0"), signed=False), old_fs)
    for resumable in (False, True):
        lines = []
        with board([("ota_0", OLD), ("ota_1", same_place)]) as sim:
            sim.tell = lines.append
            _install(FILE, resumable=resumable)
        for number in range(lines.index(_in_slots(lines)[0]) + 3):
            with board([("ota_0", OLD), ("ota_1", same_place)]) as sim:
                written = 0
                for cut in (number, 15):
                    lines = []
                    sim = attach(sim.path, settings={"cuts": [{"operation": cut, "moment": "before"}]})
                    sim.tell = lines.append
                    with raises(Ended, "cut"):
                        _install(FILE, resumable=resumable)
                    written += max(len(_in_slots(lines)) - 1, 0)
                attach(sim.path)
                assert written >= 2
                assert _release_in(Slots().other) is None, (number, resumable)


def test_a_power_cut_anywhere_leaves_the_whole_release_or_none():
    for resumable in (False, True):
        with board(PARTS) as sim:
            lines = []
            sim.tell = lines.append
            _install(FILE, resumable=resumable)
            lines = [line for line in lines if line.startswith("op ")]
            last = lines.index("op program %d" % HEADER_AT)
        assert len(lines) > 2 * len(CONTENT) // 4096
        for number in range(len(lines)):
            moment = ("before", "middle", "after")[number % 3] if number < last else "after"
            with board(PARTS) as sim:
                sim.settings["cuts"] = [{"operation": number, "moment": moment, "seed": number}]
                with raises(Ended, "cut"):
                    _install(FILE, resumable=resumable)
                assert boot(sim.path) == "ota_0"
                attach(sim.path)
                found = _release_in(Slots().other)
                whole = found is not None and found.digest == _hash(HEADER)
                assert whole == (number >= last), (number, last)
                # and what is left of any cut is no obstacle
                _install(FILE, resumable=resumable)
                assert flash_bytes(sim.path, SLOTS["ota_1"], len(CONTENT)) == CONTENT


def test_an_installation_that_is_cut_again_and_again_comes_to_its_end():
    for resumable in (False, True):
        with board(PARTS) as sim:
            for number in range(8, 30, 3):
                sim = attach(sim.path)
                sim.settings["cuts"] = [{"operation": number, "moment": "middle", "seed": number}]
                try:
                    _install(FILE, resumable=resumable)
                except Ended:
                    pass
            attach(sim.path)
            _install(FILE, resumable=resumable)
            assert flash_bytes(sim.path, SLOTS["ota_1"], len(CONTENT)) == CONTENT


def test_a_release_that_is_there_is_taken_as_it_is_only_if_all_of_it_is_whole():
    for position in (None, 2000, len(CONTENT) - len(FS) - 4096 + 50, len(CONTENT) - 5):
        lying = bytearray(CONTENT)
        if position is not None:
            lying[position] ^= 4
        with board([("ota_0", OLD), ("ota_1", lying)]) as sim:
            lines = []
            sim.tell = lines.append
            _install(FILE)
            assert (_in_slots(lines) == []) == (position is None), position
            assert flash_bytes(sim.path, SLOTS["ota_1"], len(CONTENT)) == CONTENT


def test_the_pulse_goes_on_for_every_block_and_progress_ends_at_the_whole():
    beats, steps = [], []
    with board(PARTS):
        installer = _installer(lambda: beats.append(1), lambda done, total: steps.append((done, total)))
        _install(FILE, installer=installer)
    blocks = (len(APP) + 4095) // 4096 + len(FS) // 4096
    assert len(beats) >= 2 * blocks
    assert len(steps) == blocks
    assert steps == sorted(steps)
    assert steps[-1] == (len(CONTENT), len(CONTENT))


class _FileCloud:
    """A cloud whose firmware lies in a file: it takes no memory."""

    def __init__(self, path):
        self._path = path

    def rest(self):
        pass

    def open_release(self, version_id, offset=0, etag=None, size=None):
        return _FileStream(self._path)


class _FileStream:
    resumable = False
    offset = 0
    etag = end = size = None

    def __init__(self, path):
        self._file = open(path, "rb")
        self.readinto = self._file.readinto
        self.close = self._file.close


def _peak_heap(path):
    """Bytes of heap that an installation holds at most, above what there was before its objects were made."""
    peak = [0]

    def measure():
        gc.collect()
        peak[0] = max(peak[0], gc.mem_alloc())

    with board([("ota_0", OLD)]):
        gc.collect()
        before = gc.mem_alloc()
        cloud = _FileCloud(path)
        admitted = _admit(cloud)
        gc.collect()
        before = gc.mem_alloc()
        _install_from(cloud, admitted, _installer(measure))
    return peak[0] - before


def test_the_heap_that_an_installation_needs_doesn_t_depend_on_its_size():
    if not hasattr(gc, "mem_alloc"):
        return  # only MicroPython can tell; there it matters
    with temp_dir() as folder:
        path = folder + "/small"
        write_file(path, FILE)
        small = _peak_heap(path)
        path = folder + "/large"
        _write_large(path)
        large = _peak_heap(path)
    assert abs(large - small) < 4096, (small, large)  # it has 37 KB more
    assert large < 24 * 1024, large


def _write_large(path):
    gc.collect()
    app = application(40000, fill=5)
    fs = b"lrge" * 3072
    with open(path, "wb") as file:
        file.write(header(manifest(app, fs)))
        file.write(app)
        file.write(fs)


_BLANK = b"\xed\xc1\x01\r\x00\x00\x00\xc2\xa0\xfe\xa9o\x0f\x07\x14\x00\x00\x00\xf0n"  # 4096 times 0xff, by deflate


def _in_blocks(fs, marks=None):
    """(release file, the slot's content) of a release whose fs is stored in "blocks"; marks: other than the right."""
    blocks = [fs[at : at + 4096] for at in range(0, len(fs), 4096)]
    marks = marks or [hashlib.sha256(block).digest()[:4] for block in blocks]
    chunks = [_BLANK if block == b"\xff" * 4096 else block for block in blocks]
    index = [mark + struct.pack("<H", len(chunk)) for mark, chunk in zip(marks, chunks)]
    stored = b"".join(index + chunks)
    fields = manifest(APP, fs, version="1.0.0")
    fields["parts"][1]["encoding"] = "blocks"
    fields["parts"][1]["stored"] = len(stored)
    head = header(fields, signed=False)
    return head + APP + stored, slot_content(APP, head, fs)


def _install_unsigned(data, resumable):
    admitted = release.parse(data[:4096]).plain(), _release_in(Slots().running).plain(), None, resumable
    _install_from(_OneFile(data, resumable=resumable), admitted, _installer())


def test_a_file_system_is_made_of_blocks_of_the_running_slot_and_of_what_is_fetched():
    fs = b"new!" * 1024 + OLD_FS[:4096] + b"NEW!" * 1024 + b"\xff" * 4096
    data, content = _in_blocks(fs)
    for resumable in (False, True):
        with board(PARTS) as sim:
            _install_unsigned(data, resumable)
            assert flash_bytes(sim.path, SLOTS["ota_1"], len(content)) == content


def test_a_block_of_the_running_slot_that_only_seems_to_be_the_right_one_is_fetched_after_all():
    fs = b"new!" * 1024 + b"\xff" * 4096
    there = hashlib.sha256(OLD_FS[:4096]).digest()[:4]
    data, content = _in_blocks(fs, [there, hashlib.sha256(fs[4096:]).digest()[:4]])
    for resumable in (False, True):
        with board(PARTS) as sim:
            _install_unsigned(data, resumable)
            assert flash_bytes(sim.path, SLOTS["ota_1"], len(content)) == content


def test_an_index_that_is_wrong_is_refused_and_no_release_is_left():
    data = bytearray(_in_blocks(FS + b"\xff" * 4096)[0])
    data[4096 + len(APP) + 5] = 0x11  # a length
    _refused_and_no_release_left(bytes(data), ReleaseError, "part fs isn't as long")
