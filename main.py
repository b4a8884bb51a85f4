"""Starts the running release's application, and the board again if that ends: a trial release that can't start is left.

Like boot.py it stays on the board for life; pins and settings are the release's (`thermometer.hardware`), not its own.
"""

import gc
import sys
import time

import machine

# Collect early and often: what imports leave behind would cut the heap into pieces too small for a 4 KiB block.
gc.threshold(8192)

_PAUSE_MS = 10_000  # long enough to stop it from a terminal

try:
    from thermometer import app

    app.run()
except Exception as error:  # the last place that can turn an error into an answer: a reset
    sys.print_exception(error)
print("tk: main: the application ended; reset in %d s (Ctrl-C stops it)" % (_PAUSE_MS // 1000))
time.sleep_ms(_PAUSE_MS)
machine.reset()
