"""The helpers of the unit tests, and so the two runners themselves."""

import os

from support import raises, read_file, temp_dir, write_file


def test_the_expected_error_passes_and_can_be_looked_at():
    with raises(ValueError, "too long") as caught:
        raise ValueError("name is too long")
    assert caught.value.args[0] == "name is too long"


def test_a_missing_error_fails():
    try:
        with raises(ValueError):
            pass
    except AssertionError as error:
        assert "ValueError was not raised" in str(error)
    else:
        raise AssertionError("raises() let a block without an error pass")


def test_another_message_fails():
    try:
        with raises(ValueError, "too long"):
            raise ValueError("too short")
    except AssertionError as error:
        assert "too short" in str(error)
    else:
        raise AssertionError("raises() let another message pass")


def test_another_error_goes_on_to_the_runner():
    try:
        with raises(ValueError):
            raise KeyError("name")
    except KeyError:
        return
    raise AssertionError("raises() swallowed an error of another type")


def test_a_temporary_directory_is_gone_afterwards_with_its_content():
    with temp_dir() as path:
        os.mkdir(path + "/inner")
        write_file(path + "/inner/blob", b"\x00\xff")
        assert read_file(path + "/inner/blob") == b"\x00\xff"
    with raises(OSError):
        os.stat(path)
