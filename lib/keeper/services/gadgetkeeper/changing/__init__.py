"""The calls of GadgetKeeper about versions and firmware. A phase: loaded where the target isn't known to run."""

from keeper.services.gadgetkeeper.changing.calls import confirm, current, failed, open_release  # noqa: F401
