"""A release into the other slot, one transaction that can be cut anywhere. A phase: loaded for an update."""

from keeper.updating.transaction import update  # noqa: F401
