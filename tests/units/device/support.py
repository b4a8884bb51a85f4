"""What a unit test may use besides the standard library, on CPython and on MicroPython alike.

It must not import anything that only one of the two runtimes has.
"""

import binascii
import os
import sys

_DIRECTORY = 0x4000


class raises:
    """`with raises(SlotError, "too small") as caught:` passes if that error leaves the block; `caught.value` has it.

    An error of another type goes on to the runner; one with another message fails the test, as does none at all.
    """

    def __init__(self, error_type, part=""):
        self._error_type = error_type
        self._part = part
        self.value = None

    def __enter__(self):
        return self

    def __exit__(self, error_type, error, trace):
        if error_type is None:
            raise AssertionError(self._error_type.__name__ + " was not raised")
        if not issubclass(error_type, self._error_type):
            return False
        if self._part not in str(error):
            raise AssertionError("%r is not in the message %r" % (self._part, str(error)))
        self.value = error
        return True


class temp_dir:
    """`with temp_dir() as path:` makes an empty directory and removes it afterwards with all that is in it."""

    def __init__(self):
        root = os.getenv("TMPDIR") or "/tmp"
        self.path = root + "/thermokeeper-" + binascii.hexlify(os.urandom(8)).decode()

    def __enter__(self):
        os.mkdir(self.path)
        return self.path

    def __exit__(self, error_type, error, trace):
        remove_tree(self.path)
        return False


def remove_tree(path):
    """Remove a directory and everything below it."""
    for name in os.listdir(path):
        inner = path + "/" + name
        if os.stat(inner)[0] & 0xF000 == _DIRECTORY:
            remove_tree(inner)
        else:
            os.remove(inner)
    os.rmdir(path)


def write_file(path, content):
    """Write bytes to a new file, or over an old one."""
    with open(path, "wb") as file:
        file.write(content)


def read_file(path):
    """The bytes of a file."""
    with open(path, "rb") as file:
        return file.read()


def cuts(total):
    """Which of a story's operations are cut: all; in a quick run on MicroPython, where it takes long, every seventh."""
    few = sys.implementation.name == "micropython" and os.getenv("WHOLE") != "1"
    return range(0, total, 7 if few else 1)
