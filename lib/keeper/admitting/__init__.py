"""What the server offers is held against what this board accepts. A phase: loaded before an update."""

from keeper.admitting.admission import admit  # noqa: F401
