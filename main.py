# Thermokeeper main.py, revision 5
"""Starts the running release's application, and the board again if that ends: a trial release that can't start is left.

Like boot.py it stays on the board for life; pins and settings are the release's, not its own. A confirmed release that
keeps crashing gets its safe mode after three starts that didn't last; after three more the other slot gets a trial. The
starts are counted in RTC memory, which a reset keeps and a power cut clears: b"TK", the count, a note of the release.

Each KB of this file stays in memory, and is compiled at each start: what a release can do itself is the release's.
"""

import gc
import sys
import time

import machine

_PAUSE_MS = 10_000  # long enough to stop it from a terminal
_START_MS = 120_000
_SAFE_AFTER = 3
_OTHER_AFTER = 6


def _count_start():
    memory = machine.RTC().memory()
    ours = memory[:2] == b"TK" and len(memory) > 2
    count = memory[2] if ours else 0
    if machine.reset_cause() != machine.SOFT_RESET:  # that one is a person's, at the prompt
        count = min(count + 1, 255)
    machine.RTC().memory(b"TK" + bytes([count]) + (memory[3:] if ours else b""))
    return count


def _wake():
    try:
        from thermometer.wiring import wake
    except ImportError:  # a release needn't have it
        return
    wake()


def _leave():
    from esp32 import Partition

    Partition(Partition.RUNNING).get_next_update().set_boot()
    machine.RTC().memory(b"TK\0")
    print("tk: main: this release doesn't start; the one in the other slot gets a trial")
    machine.reset()


# Collect early and often: what imports leave behind would cut the heap into pieces too small for a 4 KiB block.
gc.threshold(1024)
try:
    # An application that hangs is ended too, also while it is imported; once it runs it feeds the watchdog.
    machine.WDT(timeout=_START_MS)
    deployed_main = globals().pop("deployed_main", None)  # boot.py found what runs instead of all this
    if deployed_main:
        deployed_main()
    starts = _count_start()
    if starts > _OTHER_AFTER:
        try:
            _leave()
        except OSError as error:
            print("tk: main: there is nothing else to start: %s" % error)
    _wake()
    if starts > _SAFE_AFTER:
        from thermometer.safe import run
    else:
        from thermometer.app import run
    run()
except (Exception, SystemExit) as error:  # sys.exit() would be a soft reset, which leaves a trial on trial
    sys.print_exception(error)
print("tk: main: the application ended; reset in %d s (Ctrl-C stops it)" % (_PAUSE_MS // 1000))
time.sleep_ms(_PAUSE_MS)
machine.reset()
