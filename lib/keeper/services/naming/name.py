"""A thing gets its name on the server. When that is due, and that it was done, is known to who asks for it."""

from keeper.console import say
from keeper.errors import CloudError

_REFUSALS = (400, 409, 413, 422)  # of the name; others are no answer to it


def give_name(cloud, name):
    """Name the thing; a server that refuses the name has the last word. Raises CloudError, NetError: later, perhaps."""
    try:
        cloud.rename(name)
        say("thing", "named %s" % name)
    except CloudError as error:
        if error.status not in _REFUSALS:
            raise
        say("thing", "keeps the name that the server gave it: %s" % error)
