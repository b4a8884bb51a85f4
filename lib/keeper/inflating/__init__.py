"""A compressed part of a release is taken apart. A phase: loaded for such a part."""

from keeper.inflating.chunks import Chunks  # noqa: F401
