"""A board's life cycle, put together once after a start. A phase: it is over before what runs is looked at."""

from keeper.assembling.assembly import assemble  # noqa: F401
