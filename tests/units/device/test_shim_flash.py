"""Flash, otadata and the partitions of the simulated board, by the letter of ESP-IDF."""

import struct

import esp32
from esp32 import Partition

from support import raises
from support_flash import SECTOR, Ended, app_image, attach, board, otadata_entry


def _find(label):
    kind = Partition.TYPE_APP if label.startswith("ota_") else Partition.TYPE_DATA
    return Partition.find(kind, label=label)[0]


def _entries(otadata):
    """[(sequence, state)] as read raw."""
    found = []
    for sector in (0, 1):
        raw = bytearray(32)
        otadata.readblocks(sector, raw, 0)
        found.append((struct.unpack_from("<I", raw)[0], struct.unpack_from("<I", raw, 24)[0]))
    return found


def test_partitions_are_found_by_label_type_and_subtype():
    with board():
        assert Partition("ota_1").info() == (0, 0x11, 0x20000, 0x10000, "ota_1", False)
        assert [part.info()[4] for part in Partition.find()] == ["ota_0", "ota_1"]
        assert [part.info()[4] for part in Partition.find(Partition.TYPE_DATA, 0x40)] == ["factory"]
        assert Partition.find(Partition.TYPE_DATA, label="nothing") == []
        assert Partition(Partition.RUNNING).get_next_update().info()[4] == "ota_1"
        assert Partition("ota_1").get_next_update().info()[4] == "ota_0"
        with raises(OSError) as caught:
            Partition("nothing")
        assert caught.value.args[0] == 2
        with raises(ValueError):
            Partition(7)


def test_writing_whole_blocks_erases_first():
    with board():
        data = _find("data")
        data.writeblocks(2, b"\x00" * SECTOR)
        data.writeblocks(2, b"\xf0" * SECTOR)
        back = bytearray(SECTOR)
        data.readblocks(2, back)
        assert back == b"\xf0" * SECTOR


def test_programming_without_an_erase_only_clears_bits():
    with board():
        data = _find("data")
        data.ioctl(6, 0)
        data.writeblocks(0, b"\x0f\xff\x5a", 5)
        data.writeblocks(0, b"\xf5\x33\xff", 5)
        back = bytearray(5)
        data.readblocks(0, back, 4)
        assert back == b"\xff\x05\x33\x5a\xff"


def test_erasing_a_block_leaves_its_neighbours():
    with board():
        data = _find("data")
        data.writeblocks(0, b"\x11" * (3 * SECTOR))
        assert data.ioctl(6, 1) == 0
        back = bytearray(3 * SECTOR)
        data.readblocks(0, back)
        assert back == b"\x11" * SECTOR + b"\xff" * SECTOR + b"\x11" * SECTOR
        assert (data.ioctl(4, 0), data.ioctl(5, 0), data.ioctl(3, 0)) == (16, 4096, 0)


def _refused(code, call, *arguments):
    with raises(OSError) as caught:
        call(*arguments)
    assert caught.value.args[0] == code, caught.value.args


def test_wrong_lengths_and_places_are_refused_before_anything_is_erased():
    with board() as sim:
        data = _find("data")
        _refused(-260, data.writeblocks, 0, b"\x00" * 100)
        _refused(-260, data.writeblocks, 0, b"\x00" * (SECTOR + 1))
        _refused(-260, data.writeblocks, 15, b"\x00" * (2 * SECTOR))
        _refused(-258, data.writeblocks, 17, b"\x00" * SECTOR)
        _refused(-260, data.writeblocks, 16, b"\x00" * SECTOR)
        _refused(-260, data.writeblocks, 15, b"\x00" * 2, SECTOR - 1)
        _refused(-258, data.readblocks, -1, bytearray(4))
        _refused(-260, data.readblocks, 15, bytearray(SECTOR), 1)
        _refused(-260, data.ioctl, 6, 16)
        assert sim.operations == 0


def test_a_write_to_the_running_application_is_a_panic():
    with board():
        with raises(Ended, "panic"):
            _find("ota_0").writeblocks(0, b"\x00" * SECTOR)


def test_set_boot_selects_a_checked_application_on_trial():
    parts = (("ota_0", app_image()), ("ota_1", app_image(b"other", 5000, segments=3)), ("otadata", otadata_entry(1, 2)))
    with board(parts):
        _find("ota_1").set_boot()
        assert _entries(_find("otadata")) == [(1, 2), (2, 0)]
        assert Partition(Partition.BOOT).info()[4] == "ota_1"
        assert Partition(Partition.RUNNING).info()[4] == "ota_0"


def test_set_boot_on_blank_otadata_writes_the_first_entry():
    with board((("ota_1", app_image(hashed=False)),)):
        _find("ota_1").set_boot()
        assert _entries(_find("otadata"))[0] == (2, 0)


def test_sequence_numbers_go_on_and_sectors_take_turns():
    parts = (
        ("ota_0", app_image()),
        ("ota_1", app_image()),
        ("otadata", otadata_entry(5, 2)),
        (0xE000, otadata_entry(4, 2)),
    )
    with board(parts) as sim:
        _find("ota_1").set_boot()
        assert _entries(_find("otadata")) == [(5, 2), (6, 0)]
        attach(sim.path, "ota_1")
        _find("ota_0").set_boot()
        assert _entries(_find("otadata")) == [(7, 0), (6, 0)]


def test_set_boot_refuses_every_damaged_application():
    good = app_image(b"fine", 2000, segments=2)
    damaged = [b"\xff" * 64, b"\xe8" + good[1:], app_image(chip=9), good[:12] + b"\x05" + good[13:]]
    for place in (1, 30, 500, len(good) - 33, len(good) - 1):
        damaged.append(good[:place] + bytes([good[place] ^ 4]) + good[place + 1 :])
    damaged.append(good[: len(good) - 32] + b"\xff" * 32)
    for image in damaged:
        with board((("ota_1", image),)) as sim:
            _refused(-5379, _find("ota_1").set_boot)
            assert sim.operations == 0
    plain = app_image(hashed=False)
    with board((("ota_1", plain[:100] + bytes([plain[100] ^ 1]) + plain[101:]),)):
        _refused(-5379, _find("ota_1").set_boot)
    with board((("ota_1", good + b"whatever follows it"),)):
        _find("ota_1").set_boot()


def test_a_data_partition_cannot_be_booted():
    with board():
        _refused(-5379, _find("data").set_boot)


def test_confirming_between_set_boot_and_the_reset_blesses_the_wrong_slot():
    parts = (("ota_0", app_image()), ("ota_1", app_image()), ("otadata", otadata_entry(1, 1)))
    with board(parts):
        _find("ota_1").set_boot()
        Partition.mark_app_valid_cancel_rollback()
        assert _entries(_find("otadata")) == [(1, 1), (2, 2)]


def test_confirming_a_trial_makes_it_valid_once():
    parts = (("ota_0", app_image()), ("otadata", otadata_entry(1, 1)))
    with board(parts) as sim:
        Partition.mark_app_valid_cancel_rollback()
        assert _entries(_find("otadata"))[0] == (1, 2)
        before = sim.operations
        Partition(Partition.RUNNING).mark_app_valid_cancel_rollback()
        assert sim.operations == before


def test_confirming_without_otadata_fails():
    with board():
        _refused(-1, Partition.mark_app_valid_cancel_rollback)


def test_every_flash_operation_is_counted_and_told():
    with board() as sim:
        _find("data").writeblocks(1, b"\x00" * (2 * SECTOR))
        assert sim.operations == 3
        assert sim.told == ["op erase 266240", "op erase 270336", "op program 266240"]


def _content(path, address, size):
    with open(path, "rb") as file:
        file.seek(address)
        return file.read(size)


def test_a_cut_before_and_after_an_operation_leaves_it_undone_and_done():
    for moment, expected in (("before", b"\x11" * SECTOR), ("after", b"\xff" * SECTOR)):
        with board(((0x40000, b"\x11" * SECTOR),), cuts=[{"operation": 0, "moment": moment}]) as sim:
            with raises(Ended, "cut"):
                _find("data").ioctl(6, 0)
            assert _content(sim.path, 0x40000, SECTOR) == expected


def test_a_torn_program_is_a_beginning_of_it_and_seeded():
    data = bytes(range(256)) * 16
    seen = set()
    for seed in range(8):
        pair = []
        for _ in (0, 1):
            with board(cuts=[{"operation": 1, "moment": "middle", "seed": seed}]) as sim:
                with raises(Ended, "cut"):
                    _find("data").writeblocks(0, data)
                pair.append(_content(sim.path, 0x40000, SECTOR))
        assert pair[0] == pair[1]
        torn = pair[0]
        whole = 0
        while torn[whole] == data[whole]:
            whole += 1
        assert torn[whole] & data[whole] == data[whole]
        assert torn[whole + 1 :] == b"\xff" * (SECTOR - whole - 1)
        seen.add(torn)
    assert len(seen) > 4


def test_a_torn_erase_leaves_neither_old_nor_blank():
    with board(((0x40000, b"\x11" * SECTOR),), cuts=[{"operation": 0, "moment": "middle", "seed": 3}]) as sim:
        with raises(Ended, "cut"):
            _find("data").ioctl(6, 0)
        torn = _content(sim.path, 0x40000, SECTOR)
        assert torn != b"\x11" * SECTOR and torn != b"\xff" * SECTOR
        assert torn[:256] != b"\x11" * 256


def test_after_the_end_no_hardware_answers():
    with board(cuts=[{"operation": 0, "moment": "before"}]):
        data = _find("data")
        with raises(Ended, "cut"):
            data.ioctl(6, 0)
        for call in (
            lambda: data.readblocks(0, bytearray(4)),
            lambda: data.writeblocks(0, b"\x00", 0),
            lambda: esp32.NVS("keeper"),
            Partition.mark_app_valid_cancel_rollback,
        ):
            with raises(Ended, "cut"):
                call()
