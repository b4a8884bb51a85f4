"""A compressed part of which the running release has most blocks. A phase: loaded for the time of such a part."""

from keeper.reusing.blocks import Blocks  # noqa: F401
