"""What the bootloader is told, and what it says of the slots. A phase: loaded for each such question."""

from keeper.booting.otadata import ABORTED, INVALID, do, state_name  # noqa: F401
