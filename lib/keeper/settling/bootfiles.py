"""Brings the release's own boot.py and main.py to the board's file system, when they are newer than what is there.

They start every release, so only a release that has proved itself replaces them, each by one rename, which LittleFS
does whole or not at all. The first line of each ends with its revision. Nothing else is ever written there. A file
system that refuses is left as it is: what is there has just started this release.
"""

import os

from keeper.console import say

_NAMES = ("boot.py", "main.py")
_MARK = b", revision "
_BLOCK_SIZE = 256


def renew(source="/release/board", target=""):
    """Replace what is older. source, target: folders; a release that brings no such files changes nothing."""
    for name in _NAMES:
        new, old = source + "/" + name, target + "/" + name
        try:
            revision = _revision(new)
            if revision <= _revision(old):
                continue
            _copy(new, old + ".new")
            os.rename(old + ".new", old)
            say("boot", "%s is of revision %d now" % (name, revision))
        except OSError as error:
            say("boot", "%s can't be renewed: %s" % (name, error))


def _revision(path):
    """The number at the end of the first line; 0 of a file that has none or isn't there."""
    try:
        with open(path, "rb") as file:
            line = file.read(_BLOCK_SIZE).split(b"\n")[0]
    except OSError as error:
        if error.args[0] == 2:  # ENOENT
            return 0
        raise
    _, mark, number = line.rpartition(_MARK)
    return int(number) if mark and number.isdigit() else 0


def _copy(source, target):
    """Copy a file, and read it back: OSError if it isn't the same."""
    with open(source, "rb") as read:
        with open(target, "wb") as written:
            while True:
                block = read.read(_BLOCK_SIZE)
                if not block:
                    break
                written.write(block)
    with open(source, "rb") as one, open(target, "rb") as other:
        while True:
            block = one.read(_BLOCK_SIZE)
            if block != other.read(_BLOCK_SIZE):
                raise OSError("it reads back wrong")
            if not block:
                return
