"""RTC memory, which main.py counts starts in: b"TK", CRC-32 of what follows (LE), the count, a note.

It outlives resets and brownouts, and bits of it may flip in a short power cut: what doesn't fit its check isn't there.
rtc: `machine.RTC`, whose `memory` reads and writes it.
"""

import struct
from binascii import crc32

_CONTENT_AT = 6
_NOTE_LIMIT = 100


def noted(rtc):
    """The note, "" without one."""
    try:
        return _kept(rtc)[1:].decode()
    except UnicodeError:
        return ""


def note(rtc, text):
    """Keep a few words for the next boot."""
    _keep(rtc, _kept(rtc)[:1] + text[:_NOTE_LIMIT].encode())


def count_starts_anew(rtc):
    """Starts that didn't last are counted from nought again."""
    _keep(rtc, b"\0" + _kept(rtc)[1:])


def _kept(rtc):
    """The count, one byte, and the note."""
    kept = rtc.memory()
    content = kept[_CONTENT_AT:]
    return content if content and kept[:_CONTENT_AT] == _head(content) else b"\0"


def _keep(rtc, content):
    if content != _kept(rtc):
        rtc.memory(_head(content) + content)


def _head(content):
    return b"TK" + struct.pack("<I", crc32(content))
