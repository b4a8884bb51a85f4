"""A thing gets its name on the server, for whichever service. A phase: loaded with the joining of one of them."""

from keeper.services.naming.name import give_name  # noqa: F401
