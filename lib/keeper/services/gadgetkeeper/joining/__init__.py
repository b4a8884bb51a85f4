"""How a board gets its key, and what of it is kept in NVS. A phase: loaded at a start, and where there is no key."""

from keeper.services.gadgetkeeper.joining.calls import activate, rename  # noqa: F401
from keeper.services.gadgetkeeper.joining.credentials import describe, ensure, forget_all, recall  # noqa: F401
