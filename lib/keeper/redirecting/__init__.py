"""A server answers that something is elsewhere. A phase: loaded for the moment of such an answer."""

from keeper.redirecting.location import redirected  # noqa: F401
