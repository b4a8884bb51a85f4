"""What a board's memory may be used for: the one table. docs/memory.md explains it; bytes, on stock MicroPython 1.25.

The rules behind it: Python's heap has 56,000 bytes, then 105,000, and a third area would take what Wi-Fi and TLS need.
"""

IDLE = 65_000  # of Python's heap, live, while the board waits
PEAK = 92_000  # of Python's heap, garbage included, at any moment
# The same where a compressed release arrives as base64 text over https, counted for the worst that can be: nothing of
# its file system is on the board. Of real updates the board's heap had 91.4 KB at most; it has 105.
PEAK_COMPRESSED_TEXT_TLS = 94_000
NAMES = 620  # of our own that a life may come to: at the next one their table takes 4.5 KB more
AREAS = 2  # of Python's heap
IDF_HTTP = 25_000  # that ESP-IDF has left at its least, with plain http
IDF_TLS = 6_000  # the same in a TLS handshake

# What a board has besides what is counted of modules and stages (tests/campaigns/budget): by comparing with the board.
# Of Python's heap, live, before an application: main.py, the mounted release, names that boot.py brought, and what
# their table has for the 620 names of a life.
MAIN = 12_240
OBJECTS = 5_400  # that a station of ours makes of its modules while it waits
GARBAGE = 3_000  # gc.threshold(1024) in main.py, and what comes and goes
