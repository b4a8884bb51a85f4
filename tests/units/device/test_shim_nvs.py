"""`esp32.NVS` of the simulated board: its API, its errors, and what outlives a power cut."""

from esp32 import NVS, Partition

from support import raises
from support_flash import SECTOR, Ended, attach, board


def _refused(code, call, *arguments):
    with raises(OSError) as caught:
        call(*arguments)
    assert caught.value.args[0] == code, caught.value.args


def _blob(nvs, key):
    buffer = bytearray(5000)
    return bytes(buffer[: nvs.get_blob(key, buffer)])


def test_values_outlive_a_reset():
    with board() as sim:
        nvs = NVS("keeper")
        nvs.set_blob("cloud", b'{"key": "abc"}')
        nvs.set_i32("count", -7)
        nvs.commit()
        attach(sim.path)
        nvs = NVS("keeper")
        assert _blob(nvs, "cloud") == b'{"key": "abc"}'
        assert nvs.get_i32("count") == -7


def test_namespaces_do_not_see_each_other():
    with board():
        one, two = NVS("one"), NVS("two")
        one.set_i32("x", 1)
        two.set_i32("x", 2)
        assert (NVS("one").get_i32("x"), NVS("two").get_i32("x")) == (1, 2)
        _refused(-4354, NVS("three").get_i32, "x")


def test_absent_and_wrongly_typed_values_are_not_found():
    with board():
        nvs = NVS("keeper")
        nvs.set_i32("number", 1)
        nvs.set_blob("blob", b"x")
        _refused(-4354, nvs.get_i32, "nothing")
        _refused(-4354, nvs.get_blob, "nothing", bytearray(4))
        _refused(-4354, nvs.get_i32, "blob")
        _refused(-4354, nvs.get_blob, "number", bytearray(4))
        _refused(-4354, nvs.erase_key, "nothing")


def test_a_buffer_too_small_is_refused_and_left_alone():
    with board():
        nvs = NVS("keeper")
        nvs.set_blob("blob", b"0123456789")
        buffer = bytearray(9)
        _refused(-4364, nvs.get_blob, "blob", buffer)
        assert buffer == b"\x00" * 9
        assert nvs.get_blob("blob", bytearray(10)) == 10


def test_names_longer_than_15_characters_are_refused():
    with board():
        nvs = NVS("n" * 15)
        nvs.set_i32("k" * 15, 1)
        assert nvs.get_i32("k" * 15) == 1
        _refused(-4361, NVS, "n" * 16)
        _refused(-4361, nvs.set_blob, "k" * 16, b"")
        _refused(-4361, nvs.get_i32, "k" * 16)


def test_blobs_of_every_size_come_back_whole():
    with board() as sim:
        nvs = NVS("keeper")
        for size in (0, 1, 31, 32, 33, 64, 1000, 3900, 4000, 4200, 6000):
            value = bytes([size % 251]) * size
            nvs.set_blob("blob", value)
            attach(sim.path)
            nvs = NVS("keeper")
            buffer = bytearray(6000)
            assert nvs.get_blob("blob", buffer) == size
            assert bytes(buffer[:size]) == value


def test_writing_the_same_value_costs_no_flash_operation():
    with board() as sim:
        nvs = NVS("keeper")
        nvs.set_blob("blob", b"same" * 20)
        nvs.set_i32("number", 5)
        before = sim.operations
        nvs.set_blob("blob", b"same" * 20)
        nvs.set_i32("number", 5)
        assert sim.operations == before


def test_a_value_may_change_its_type():
    with board():
        nvs = NVS("keeper")
        nvs.set_i32("value", 3)
        nvs.set_blob("value", b"now a blob")
        _refused(-4354, nvs.get_i32, "value")
        assert _blob(nvs, "value") == b"now a blob"
        nvs.set_i32("value", 4)
        _refused(-4354, nvs.get_blob, "value", bytearray(99))


def test_garbage_is_collected_for_hundreds_of_writes():
    with board() as sim:
        nvs = NVS("keeper")
        nvs.set_blob("steady", b"s" * 500)
        for count in range(150):
            nvs.set_blob("moving", b"%04d" % count * 60)
        attach(sim.path)
        nvs = NVS("keeper")
        assert _blob(nvs, "steady") == b"s" * 500
        assert _blob(nvs, "moving") == b"0149" * 60


def test_a_full_nvs_says_so():
    with board():
        nvs = NVS("keeper")
        with raises(OSError) as caught:
            for number in range(40):
                nvs.set_blob("blob%d" % number, bytes([number]) * 390)
        assert caught.value.args[0] == -4357
        assert number > 20
        for kept in range(number):
            assert _blob(nvs, "blob%d" % kept) == bytes([kept]) * 390
        nvs.erase_key("blob0")
        nvs.set_blob("again", b"a" * 390)


def test_a_blob_larger_than_nvs_is_refused():
    with board():
        _refused(-4366, NVS("keeper").set_blob, "blob", b"x" * 12001)


def test_erased_keys_stay_erased():
    with board() as sim:
        nvs = NVS("keeper")
        nvs.set_blob("blob", b"x" * 100)
        nvs.erase_key("blob")
        attach(sim.path)
        _refused(-4354, NVS("keeper").get_blob, "blob", bytearray(200))


def test_damaged_pages_cost_their_values_and_nothing_else():
    with board() as sim:
        NVS("keeper").set_blob("blob", b"x" * 100)
        with open(sim.path, "r+b") as file:
            file.seek(0x9000)
            file.write(b"\x12\x34\x56\x78")
            file.seek(0x9000 + 4)
            file.write(b"\x00" * 24)
        attach(sim.path)
        nvs = NVS("keeper")
        _refused(-4354, nvs.get_blob, "blob", bytearray(200))
        nvs.set_blob("blob", b"new")
        assert _blob(nvs, "blob") == b"new"


def test_a_newer_format_is_erased_at_start_as_micropython_does():
    with board() as sim:
        NVS("keeper").set_i32("x", 1)
        from _simnvs import crc32

        with open(sim.path, "r+b") as file:
            file.seek(0x9000)
            header = bytearray(file.read(32))
            header[8] = 0xFD
            header[28:32] = crc32(bytes(header[4:28]), 0xFFFFFFFF).to_bytes(4, "little")
            file.seek(0x9000)
            file.write(header)
        attach(sim.path)
        _refused(-4354, NVS("keeper").get_i32, "x")


def _sized(nvs, key):
    try:
        return _blob(nvs, key)
    except OSError as error:
        assert error.args[0] == -4354
        return None


def test_a_power_cut_at_any_operation_leaves_the_old_value_or_the_new_one():
    old, new = b"old value " * 12, b"the new value " * 15
    operation = 0
    while True:
        moments = ("before", "middle", "after")
        with board() as sim:
            nvs = NVS("keeper")
            nvs.set_blob("other", b"untouched")
            nvs.set_blob("blob", old)
            with open(sim.path, "rb") as file:
                file.seek(0x9000)
                start = file.read(4 * SECTOR)
            ended = 0
            for moment in moments:
                with open(sim.path, "r+b") as file:
                    file.seek(0x9000)
                    file.write(start)
                attach(sim.path, settings={"cuts": [{"operation": operation, "moment": moment, "seed": operation}]})
                try:
                    NVS("keeper").set_blob("blob", new)
                except Ended:
                    ended += 1
                attach(sim.path)
                nvs = NVS("keeper")
                assert _sized(nvs, "blob") in (old, new), (operation, moment)
                assert _blob(nvs, "other") == b"untouched"
                nvs.set_blob("blob", b"and on")
                assert _blob(nvs, "blob") == b"and on"
        operation += 1
        if not ended:
            break
    assert operation > 8


def test_an_nvs_without_partition_cannot_be_opened():
    with board() as sim:
        sim.partitions = [entry for entry in sim.partitions if entry[4] != "nvs"]
        _refused(-4367, NVS, "keeper")
        assert Partition("data")
