"""What stands around a text in JSON. A phase: loaded before the text and after it, not while it arrives."""

from keeper.services.enclosing.jsonmember import check_rest, find_member  # noqa: F401
