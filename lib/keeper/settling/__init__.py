"""After a start: what runs, what NVS and the slots disagree about, what a proved release may change.

A phase: it ends before the board's life goes on.
"""

from keeper.settling.start import running, settle, settle_proved  # noqa: F401
