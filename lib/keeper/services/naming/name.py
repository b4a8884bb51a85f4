"""A thing gets its name on the server. When that is due, and that it was done, is known to who asks for it."""

from keeper.console import say
from keeper.errors import CloudError


def give_name(cloud, name):
    """Name the thing; a server that doesn't allow the name has the last word. Raises CloudError, NetError."""
    try:
        cloud.rename(name)
        say("thing", "named %s" % name)
    except CloudError as error:
        if error.status != 400:
            raise
        say("thing", "keeps the name that the server gave it: %s" % error)
