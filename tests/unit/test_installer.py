"""A release into the other slot: decided before anything is erased, and a release only once all of it is there."""

import gc
import hashlib

from fakes import PENDING, SLOT_SIZE, SLOTS, VALID, Stream, boot, flash_bytes, otadata, slot_content
from images import application, image, partition_table
from keeper import release
from keeper.errors import NetError, ReleaseError, SlotError
from keeper.installer import Installer
from keeper.slots import Slots
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


def _installer(pulse=None, progress=None, keys=None):
    return Installer(Slots(), KEYS if keys is None else keys, "thermometer", pulse or (lambda: None), progress)


def _install(data, end=None, size=None, installer=None):
    stream = Stream(data, end, size)
    installer = installer or _installer()
    installer.install(stream, installer.read_header(stream))


def _refused_before_anything_is_erased(data, reason, error=ReleaseError, size=None, keys=None):
    with board(PARTS) as sim:
        installer = _installer(keys=keys)
        with raises(error, reason):
            installer.read_header(Stream(data, size=size))
        assert sim.operations == 0


def _refused_and_no_release_left(data, error, reason, end=None):
    """`data` need not be signed: that is decided before the part that is tested here."""
    with board(PARTS) as sim:
        installer = _installer()
        stream = Stream(data, end)
        while stream.position < 4096:
            stream.readinto(bytearray(4096 - stream.position))
        with raises(error, reason):
            installer.install(stream, release.parse(data[:4096]))
        assert sim.operations > 0
        assert installer.manifest_in(Slots().other) is None
        assert installer.manifest_in(Slots().running).version == "0.9.0"
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
            assert installer.manifest_in(Slots().other).version == "1.0.0"
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
        installer = _installer()
        assert installer.manifest_in(Slots().running).digest == _hash(OLD[len(OLD) - 8192 : -4096])
        assert installer.manifest_in(Slots().other) is None
    with board([("ota_0", OLD)]):
        assert _installer().manifest_in(Slots().other) is None


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


def test_an_encoded_part_is_refused():
    fields = manifest(APP, FS)
    fields["parts"][0]["encoding"] = "deflate"
    fields["parts"][0]["stored"] = 100
    _refused_before_anything_is_erased(header(fields) + bytes(5000), "encoded")


def test_a_file_of_another_length_than_the_manifest_says_is_refused():
    for size in (len(FILE) - 1, len(FILE) + 1, 0):
        _refused_before_anything_is_erased(FILE, "its manifest says", size=size)


def test_what_is_no_release_is_refused():
    _refused_before_anything_is_erased(APP + FS, "not a release")
    _refused_before_anything_is_erased(b"", "ended", NetError)
    _refused_before_anything_is_erased(FILE[:4095], "ended", NetError)


def test_on_trial_nothing_is_written():
    with board([("ota_0", OLD), ("ota_1", OTHER)] + otadata((1, VALID), (2, PENDING)), "ota_1") as sim:
        with raises(SlotError, "the only way back"):
            _install(FILE)
        assert sim.operations == 0


def test_a_part_with_a_wrong_hash_makes_no_release():
    for position in (4096 + 3000, 4096 + len(APP) - 1, 4096 + len(APP), len(FILE) - 1):
        changed = bytearray(FILE)
        changed[position] ^= 0x10
        part = "app" if position < 4096 + len(APP) else "fs"
        _refused_and_no_release_left(changed, ReleaseError, "part %s isn't what the manifest says" % part)


def test_a_stream_that_ends_early_makes_no_release():
    for end in (4096, 5000, 4096 + len(APP), 4096 + len(APP) + 1, len(FILE) - 1):
        _refused_and_no_release_left(FILE, NetError, "ended", end=end)


def test_an_application_longer_than_its_image_is_refused():
    app = APP + b"\x00" * 4096
    _refused_and_no_release_left(_unsigned(app) + app + FS, ReleaseError, "its manifest says")


def test_an_application_shorter_than_its_image_is_refused():
    app = APP[:-4096]
    assert len(app) % 16 == 0
    _refused_and_no_release_left(_unsigned(app) + app + FS, ReleaseError, "its manifest says")


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
        _install(FILE)
        offset = len(OTHER) - len(OTHER_FS) - 4096
        assert sim.told[0] == "op erase %d" % (SLOTS["ota_1"] + offset)
        headers = [line for line in sim.told if line.startswith("op program")]
        assert headers[-1] == "op program %d" % (SLOTS["ota_1"] + len(CONTENT) - len(FS) - 4096), "header comes last"


def test_the_header_of_an_older_release_at_the_new_one_s_place_goes_first_too():
    old_fs = b"same" * 1024
    same_place = slot_content(APP, header(manifest(APP, old_fs, version="0.7.0"), signed=False), old_fs)
    with board([("ota_0", OLD), ("ota_1", same_place)]):
        installer = _installer()
        with raises(NetError):
            _install(FILE, end=len(FILE) - 1, installer=installer)
        assert installer.manifest_in(Slots().other) is None


def test_a_power_cut_anywhere_leaves_the_whole_release_or_none():
    with board(PARTS) as sim:
        _install(FILE)
        count = sim.operations
    assert count == 2 * len(CONTENT) // 4096 + 1
    with board(PARTS) as sim:
        path = sim.path
        for number in range(count):
            for moment in ("before", "middle", "after"):
                sim = attach(path)
                sim.settings["cuts"] = [{"operation": number, "moment": moment, "seed": number}]
                with raises(Ended, "cut"):
                    _install(FILE)
                assert boot(path) == "ota_0"
                attach(path)
                found = _installer().manifest_in(Slots().other)
                whole = found is not None and found.digest == _hash(HEADER)
                assert whole == ((number, moment) == (count - 1, "after"))
                assert not whole or flash_bytes(path, SLOTS["ota_1"], len(CONTENT)) == CONTENT
                _put_back_the_other(path)
        # and what is left of any cut is no obstacle
        attach(path)
        _install(FILE)
        assert flash_bytes(path, SLOTS["ota_1"], len(CONTENT)) == CONTENT


def _put_back_the_other(path):
    with open(path, "r+b") as file:
        file.seek(SLOTS["ota_1"])
        file.write(OTHER)


def test_an_install_that_was_cut_can_be_done_again_over_what_it_left():
    with board(PARTS) as sim:
        for number in range(0, 12, 3):
            sim = attach(sim.path)
            sim.settings["cuts"] = [{"operation": number, "moment": "middle", "seed": number}]
            with raises(Ended, "cut"):
                _install(FILE)
        attach(sim.path)
        _install(FILE)
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
    assert steps[-1] == (len(FILE), len(FILE))


class FileStream:
    """A release that lies in a file: it takes no memory."""

    size = None

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
        stream = FileStream(path)
        installer = _installer(measure)
        installer.install(stream, installer.read_header(stream))
        stream.close()
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
    assert abs(large - small) < 1024, (small, large)
    assert large < 24 * 1024, large


def _write_large(path):
    gc.collect()
    app = application(40000, fill=5)
    fs = b"lrge" * 3072
    with open(path, "wb") as file:
        file.write(header(manifest(app, fs)))
        file.write(app)
        file.write(fs)
