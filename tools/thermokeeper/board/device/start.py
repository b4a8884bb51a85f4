"""Runs on a board, from boot.py and in its names: what was deployed comes before the release's own files.

`thermokeeper deploy` puts this file beside what it deploys, with two lines in front: DEPLOYED, the paths of the files,
and GONE, paths of the release that are no more. The release stays mounted at /release as it is; /running is both.
"""

import os
import sys
from binascii import crc32

import machine
import vfs

_DEPLOYED_FOLDER = "/deployed"
_LEFT_AFTER = 3  # starts that didn't last, as main.py counts them
_NAMES_SHOWN = 6


class _Running:
    """A file system for imports: the release with what was deployed over it."""

    def mount(self, readonly, mkfs):
        pass

    def umount(self):
        pass

    def chdir(self, path):
        pass

    def open(self, path, mode):
        return open(self._place(path), mode)

    def stat(self, path):
        return os.stat(self._place(path))

    def ilistdir(self, path):
        return os.ilistdir("/release" + path)

    def _place(self, path):
        if path[1:] in GONE:  # noqa: F821
            raise OSError(2)
        deployed = _DEPLOYED_FOLDER + "/lib" + path
        try:
            os.stat(deployed)
            return deployed
        except OSError:
            return "/release" + path


def _starts_that_did_not_last():
    return 0 if machine.reset_cause() == machine.SOFT_RESET else _count_in(machine.RTC().memory())


def _count_in(memory):
    """The count of starts as main.py keeps it: b"TK", CRC-32 of what follows, the count."""
    content = memory[6:]
    return content[0] if content and memory[:6] == _head(content) else 0


def _head(content):
    return b"TK" + crc32(content).to_bytes(4, "little")


def _run_deployed_main():
    """What runs instead of main.py; if it can't even begin to count its starts, they are counted here."""
    before = machine.RTC().memory()
    try:
        with open(_DEPLOYED_FOLDER + "/main.py") as file:
            exec(file.read(), {"__name__": "__main__"})
    except (Exception, SystemExit):
        if machine.RTC().memory() == before:
            content = bytes([min(_count_in(before) + 1, 255)])
            machine.RTC().memory(_head(content) + content)
        raise


def _start_deployed():
    global deployed_main
    if _starts_that_did_not_last() >= _LEFT_AFTER:
        print("tk: boot: what was deployed keeps ending and is left aside; this runs the release's own files")
        return
    if "boot.py" in DEPLOYED:  # noqa: F821
        vfs.umount("/release")
        sys.path.remove("/release")
        with open(_DEPLOYED_FOLDER + "/boot.py") as file:
            exec(file.read(), {"__name__": "deployed"})
    vfs.mount(_Running(), "/running")
    if "/release" in sys.path:
        sys.path.remove("/release")
    sys.path.insert(0, "/running")
    if "main.py" in DEPLOYED:  # noqa: F821
        deployed_main = _run_deployed_main
    shown = ", ".join(DEPLOYED[:_NAMES_SHOWN])  # noqa: F821
    if len(DEPLOYED) > _NAMES_SHOWN:  # noqa: F821
        shown += " and %d more" % (len(DEPLOYED) - _NAMES_SHOWN)  # noqa: F821
    print("tk: boot: runs the deployed copy of %s" % (shown or "nothing; without what is gone"))


_start_deployed()
