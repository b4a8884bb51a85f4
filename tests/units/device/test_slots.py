"""The two slots and otadata: states read right, the way back kept open, nothing confirmed that doesn't run."""

import struct

from esp32 import Partition

from fake_flash import ABORTED, INVALID, NEW, OTADATA, PENDING, UNDEFINED, VALID, boot, flash_bytes, otadata
from keeper.board.slots import Slots
from keeper.booting import state_name
from keeper.errors import SlotError
from support import raises
from support_flash import TABLE, Ended, app_image, attach, board, table_bytes

APPS = [("ota_0", app_image(b"zero", 3000)), ("ota_1", app_image(b"one", 3000))]

# Entry of the first and of the second sector, then the states of ota_0 and ota_1. Sequence 1, 3, 5 is ota_0's.
STATES = (
    (None, None, UNDEFINED, UNDEFINED),
    ((1, VALID), None, VALID, UNDEFINED),
    (None, (1, VALID), VALID, UNDEFINED),
    ((2, VALID), None, UNDEFINED, VALID),
    ((1, VALID), (2, NEW), VALID, NEW),
    ((1, VALID), (2, PENDING), VALID, PENDING),
    ((1, VALID), (2, ABORTED), VALID, ABORTED),
    ((1, VALID), (2, INVALID), VALID, INVALID),
    ((3, NEW), (2, VALID), NEW, VALID),
    ((3, ABORTED), (2, VALID), ABORTED, VALID),
    ((2, VALID), (3, PENDING), PENDING, VALID),
    ((0xFFFFFFFE, VALID), (0xFFFFFFFD, ABORTED), ABORTED, VALID),
    ((1, UNDEFINED), (2, UNDEFINED), UNDEFINED, UNDEFINED),
    ((1, VALID), (3, PENDING), PENDING, UNDEFINED),
    ((5, VALID), (3, ABORTED), VALID, UNDEFINED),
    ((4, ABORTED), (2, VALID), UNDEFINED, ABORTED),
    ((1, 77), (2, VALID), 77, VALID),
    ((0, VALID), (2, VALID), UNDEFINED, VALID),
    ((0xFFFFFFFF, VALID), (2, VALID), UNDEFINED, VALID),
)


def _states():
    found = Slots()
    by_label = {found.running.label: found.running, found.other.label: found.other}
    return tuple(found.state(by_label[label]) for label in ("ota_0", "ota_1"))


def test_states_are_read_as_the_table_has_them():
    for first, second, *expected in STATES:
        for running in ("ota_0", "ota_1"):
            with board(otadata(first, second), running):
                assert _states() == tuple(expected), (first, second, running)


def test_every_pair_of_states_belongs_to_its_slot():
    every = (NEW, PENDING, VALID, INVALID, ABORTED, UNDEFINED)
    with board() as sim:
        for first in every:
            for second in every:
                data = Partition.find(Partition.TYPE_DATA, label="otadata")[0]
                for address, entry in otadata((7, first), (8, second)):
                    data.writeblocks((address - OTADATA) // 4096, entry + b"\xff" * (4096 - len(entry)))
                assert _states() == (first, second)
                assert Slots().on_trial() == (first in (NEW, PENDING))
                attach(sim.path)


def test_entries_with_a_wrong_checksum_say_nothing():
    parts = otadata((1, VALID), (2, VALID))
    for number, expected in ((0, (UNDEFINED, VALID)), (1, (VALID, UNDEFINED))):
        damaged = list(parts)
        address, entry = damaged[number]
        damaged[number] = (address, entry[:28] + bytes([entry[28] ^ 1]) + entry[29:])
        with board(damaged):
            assert _states() == expected


def test_each_state_has_a_word():
    words = [state_name(state) for state in (NEW, PENDING, VALID, INVALID, ABORTED, UNDEFINED, 99)]
    assert words == ["new", "on trial", "valid", "invalid", "aborted", "undefined", "undefined"]


def test_a_flash_without_two_slots_is_refused():
    for missing in ("ota_1", "otadata"):
        rows = [row for row in TABLE if row[0] != missing]
        with board([(0x8000, table_bytes(rows) + b"\xff" * 32)]), raises(SlotError, "flash the whole image"):
            found = Slots()
            assert found.other.label != found.running.label, "one slot is not two"
            found.select()


def test_a_slot_is_read_at_any_byte_and_written_in_blocks():
    with board(APPS):
        other = Slots().other
        assert (other.label, other.index, other.size) == ("ota_1", 1, 0x10000)
        other.write(4096, bytes(range(256)) * 32)
        piece = bytearray(300)
        other.read(4096 + 4000, piece)
        assert piece == (bytes(range(256)) * 32)[4000:4300]
        other.erase(8192)
        other.read(8192, piece)
        assert piece == b"\xff" * 300


def test_what_flash_refuses_is_a_slot_error():
    with board(APPS):
        other = Slots().other
        with raises(SlotError, "ota_1 can't be read at 65536"):
            other.read(other.size, bytearray(1))
        with raises(SlotError, "ota_1 can't be written at 65536"):
            other.write(other.size, bytearray(4096))
        with raises(SlotError, "ota_1 can't be written at 0"):
            other.write(0, bytearray(100))
        with raises(SlotError, "ota_1 can't be erased at 65536"):
            other.erase(other.size)


def test_a_header_is_looked_for_behind_the_application():
    for size in (3000, 4096 - 24 - 8 - 48, 4100, 20000):
        image = app_image(b"x", size)
        with board([("ota_1", image)]):
            assert Slots().other.header_offset() == (len(image) + 4095) // 4096 * 4096


def test_a_slot_without_room_for_a_header_has_none():
    start = app_image(b"x", 100)[:28]  # header and address of the one segment; its length follows
    rest = 24 + 8 + 16 + 32
    for size, expected in ((0x10000 - 4096 - rest, 0xF000), (0x10000 - 4096, None), (0x10000, None), (1 << 30, None)):
        with board([("ota_1", start + struct.pack("<I", size))]):
            assert Slots().other.header_offset() == expected
    with board():
        assert Slots().other.header_offset() is None


def test_a_selected_slot_boots_on_trial_and_stays_once_confirmed():
    with board(APPS + otadata((1, VALID))) as sim:
        Slots().select()
        assert boot(sim.path) == "ota_1"
        attach(sim.path, "ota_1")
        found = Slots()
        assert found.on_trial()
        found.confirm()
        assert not found.on_trial()
        assert boot(sim.path) == "ota_1"


def test_a_selected_slot_that_isn_t_confirmed_is_left_at_the_next_reset():
    with board(APPS + otadata((1, VALID))) as sim:
        Slots().select()
        assert (boot(sim.path), boot(sim.path), boot(sim.path)) == ("ota_1", "ota_0", "ota_0")
        attach(sim.path, "ota_0")
        found = Slots()
        assert found.state(found.other) == ABORTED


def test_nothing_is_confirmed_between_select_and_reset():
    with board(APPS + otadata((1, VALID))) as sim:
        found = Slots()
        found.select()
        before = sim.operations
        with raises(SlotError, "nothing is confirmed before the reset"):
            found.confirm()
        assert sim.operations == before
        assert found.state(found.other) == NEW


def test_on_trial_the_other_slot_is_neither_written_nor_selected():
    for state in (NEW, PENDING):
        with board(APPS + otadata((1, VALID), (2, state)), "ota_1") as sim:
            found = Slots()
            with raises(SlotError, "the only way back"):
                found.guard_write()
            with raises(SlotError, "the only way back"):
                found.select()
            assert sim.operations == 0
            assert boot(sim.path) == ("ota_0" if state == PENDING else "ota_1")


def test_in_any_other_state_the_other_slot_may_be_written():
    for state in (VALID, UNDEFINED, INVALID, ABORTED):
        with board(APPS + otadata((1, VALID), (2, state)), "ota_1"):
            Slots().guard_write()
    with board(APPS):
        Slots().guard_write()


def test_a_damaged_application_is_not_selected():
    image = APPS[1][1]
    for broken in (image[:200], image[:500] + b"\x00" + image[501:], b""):
        with board([APPS[0], ("ota_1", broken)] + otadata((1, VALID))) as sim:
            with raises(SlotError, "ota_1 isn't bootable"):
                Slots().select()
            assert sim.operations == 0
            assert boot(sim.path) == "ota_0"


def test_the_verdict_on_a_slot_s_former_content_is_forgotten_and_nothing_else():
    for state in (ABORTED, INVALID):
        with board(APPS + otadata((1, VALID), (2, state))) as sim:
            found = Slots()
            found.forget_verdict()
            assert sim.operations == 1
            assert (found.state(found.running), found.state(found.other)) == (VALID, UNDEFINED)
            assert boot(sim.path) == "ota_0"


def test_a_verdict_is_kept_where_the_running_slot_doesn_t_stand_on_its_own():
    kept = (
        otadata((1, VALID), (2, VALID)),
        otadata((1, VALID), (2, NEW)),
        otadata((1, VALID)),
        otadata((1, PENDING), (2, ABORTED)),
        otadata(None, (2, ABORTED)),
    )
    for parts in kept:
        with board(APPS + parts) as sim:
            Slots().forget_verdict()
            assert sim.operations == 0


def test_a_power_cut_in_any_write_to_otadata_leaves_a_slot_that_boots():
    sectors = otadata((1, VALID), (2, ABORTED))
    for number in range(3):  # forget: one erase; select: erase and program
        for moment in ("before", "middle", "after"):
            for seed in range(4):
                with board(APPS + sectors) as sim:
                    sim.settings["cuts"] = [{"operation": number, "moment": moment, "seed": seed}]
                    with raises(Ended, "cut"):
                        found = Slots()
                        found.forget_verdict()
                        found.select()
                    label = boot(sim.path)
                    attach(sim.path, label)
                    found = Slots()
                    assert found.running.label == label
                    if label == "ota_0":
                        assert found.state(found.running) == VALID
                    else:
                        assert found.on_trial()


def test_a_power_cut_while_confirming_leaves_a_slot_that_boots():
    for number in range(2):
        for moment in ("before", "middle", "after"):
            with board(APPS + otadata((1, VALID), (2, PENDING)), "ota_1") as sim:
                sim.settings["cuts"] = [{"operation": number, "moment": moment, "seed": number}]
                with raises(Ended, "cut"):
                    Slots().confirm()
                confirmed = (number, moment) == (1, "after")
                assert boot(sim.path) == ("ota_1" if confirmed else "ota_0")


def test_confirming_a_confirmed_slot_writes_nothing():
    with board(APPS + otadata((1, VALID))) as sim:
        Slots().confirm()
        assert sim.operations == 0
        assert struct.unpack("<I", flash_bytes(sim.path, OTADATA + 24, 4))[0] == VALID
