"""What an ESP32 application image is, and what only looks like one."""

import images
from keeper.errors import ReleaseError
from keeper.imaging import image
from support import raises

APP = images.application(6000)


def reader(data):
    def read(offset, buf):
        assert offset + len(buf) <= len(data), "read past the limit"
        buf[:] = data[offset : offset + len(buf)]

    return read


def test_length_is_exact_with_and_without_a_hash():
    for with_hash in (True, False):
        for size in range(6000, 6064, 4):
            app = images.application(size, with_hash=with_hash)
            assert image.length(reader(app), len(app)) == len(app)
            assert image.length(reader(app + b"\xe9" * 5000), len(app) + 5000) == len(app)


def test_nothing_is_read_at_or_behind_the_limit():
    for limit in (0, 23, 24, 31, 32, 100, len(APP) - 33, len(APP) - 1):
        with raises(ReleaseError, "larger than"):
            image.length(reader(APP[:limit]), limit)
    assert image.length(reader(APP), len(APP)) == len(APP)


def test_a_segment_of_4_gigabytes_is_refused():
    app = bytearray(APP)
    app[28:32] = b"\xfc\xff\xff\xff"
    with raises(ReleaseError, "larger than"):
        image.length(reader(app), len(app))


def test_a_segment_length_no_bootloader_takes_is_refused():
    app = bytearray(APP)
    app[28] |= 1
    with raises(ReleaseError, "odd length"):
        image.length(reader(app), len(app))


def test_what_is_no_image_is_refused():
    for data in (b"\xff" * 64, bytes(64), b"TKREL001" * 8, b"\xe9\x00" + bytes(62), b"\xe9\x11" + bytes(62)):
        with raises(ReleaseError, "not an ESP32 application image"):
            image.length(reader(data), len(data))


def test_each_chip_is_named_and_an_unknown_one_refused():
    for number, name in image.CHIPS.items():
        assert image.chip_of(images.application(600, chip_id=number)[:24]) == name
    with raises(ReleaseError, "unknown chip (id 77)"):
        image.chip_of(images.application(600, chip_id=77)[:24])


def test_check_takes_an_application_for_this_chip_with_anything_behind_it():
    data = APP + b"\xff" * 60000
    assert image.check(reader(data), len(data), "esp32") == len(APP)


def test_check_refuses_another_chip():
    app = images.application(6000, chip_id=9)
    with raises(ReleaseError, "another chip: esp32s3, not esp32"):
        image.check(reader(app), len(app), "esp32")


def test_check_refuses_a_whole_flash_image():
    for chip_id, start in ((0, 0x1000), (5, 0), (18, 0x2000)):
        data = images.whole_firmware(APP, chip_id, start)
        with raises(ReleaseError, "whole flash image"):
            image.check(reader(data), len(data), image.CHIPS[chip_id])


def test_an_application_that_has_a_tables_magic_inside_is_still_one():
    app = images.image([(0x3F400020, b"\xaa\x50\x01\x02" * 10000)])
    assert image.check(reader(app), len(app), "esp32") == len(app)


def test_check_refuses_what_is_larger_than_the_slot():
    with raises(ReleaseError, "larger than the 4096 bytes"):
        image.check(reader(APP), 4096, "esp32")
