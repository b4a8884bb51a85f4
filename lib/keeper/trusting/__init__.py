"""Whom to trust in TLS. A phase: loaded once, when the first https request needs its context."""

from keeper.trusting.known import authorities  # noqa: F401
from keeper.trusting.tls import trusting  # noqa: F401
