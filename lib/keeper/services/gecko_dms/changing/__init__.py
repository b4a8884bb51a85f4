"""The calls of Gecko OS DMS about firmware. A phase: loaded where the target isn't known to run."""

from keeper.services.gecko_dms.changing.calls import confirm, current, failed, open_release  # noqa: F401
