"""How long this boot has lasted, in milliseconds, beyond the 12 days after which `ticks_ms` starts again.

A due time that is compared with `ticks_diff` lies in the future for days once it was left alone for 6.2 days: whatever
may wait so long counts by this. Somebody has to ask at least every 6 days; whoever asks does it for all the others.
"""

import time

_last = None  # tick at which somebody asked last
_total_ms = 0


def ms():
    """Milliseconds since the first call; never goes back."""
    global _last, _total_ms
    now = time.ticks_ms()
    if _last is not None:
        _total_ms += time.ticks_diff(now, _last)
    _last = now
    return _total_ms
