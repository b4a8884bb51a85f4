"""After a start: who the board is, what runs, what NVS and the slots disagree about, what a proved release may change.

A phase: it ends before the board's life goes on.
"""

from keeper.settling.assembly import assemble  # noqa: F401
from keeper.settling.start import on_trial, running, settle, settle_proved  # noqa: F401
