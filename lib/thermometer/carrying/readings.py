"""Readings that couldn't be delivered before a restart: kept in the partition `data`, and taken back after it.

A reading has no date but its age, so the board's clock at that moment is kept with them, right or not: it goes on over
a restart, though not over a power cut. What can't be dated any more is dropped, and that is said.

The record: i64 clock in ms, then for each reading, oldest first, f32 value and u32 age in ms; little endian.
"""

import struct
import time

from keeper import keeping
from keeper.console import say
from keeper.errors import StateError

_RECORD = 1  # in `data`
_SIZE = 8
_AGE_LIMIT_MS = 0x7FFFFFFF  # 24 days


def keep(outbox):
    """Keep what is in the outbox; whether that worked."""
    count = min(len(outbox), (keeping.LIMIT - _SIZE) // _SIZE)
    if not count:
        return True
    content = bytearray(_SIZE + _SIZE * count)
    struct.pack_into("<q", content, 0, _clock_ms())
    for i in range(count):
        value, age_ms = outbox.at(len(outbox) - count + i)
        struct.pack_into("<fI", content, _SIZE + _SIZE * i, value, age_ms)
    try:
        keeping.save(_RECORD, content)
    except StateError as error:
        say("readings", "%d can't be kept: %s" % (count, error))
        return False
    say("readings", "%d are kept over the restart" % count)
    return True


def take_back(outbox):
    """Put what was kept into the outbox, once."""
    try:
        content = keeping.load(_RECORD)
        if not content:
            return
        keeping.erase(_RECORD)  # before they are used: a reading that was told twice would be two
    except StateError as error:
        say("readings", str(error))
        return
    count = len(content) // _SIZE - 1
    passed_ms = _clock_ms() - struct.unpack_from("<q", content, 0)[0]
    if not 0 <= passed_ms < _AGE_LIMIT_MS:
        say("readings", "%d were kept, but when they were taken isn't known any more" % count)
        return
    for i in range(count):
        value, age_ms = struct.unpack_from("<fI", content, _SIZE + _SIZE * i)
        outbox.put(value, age_ms + passed_ms)
    say("readings", "%d were kept over the restart" % count)


def _clock_ms():
    return time.time_ns() // 1_000_000
