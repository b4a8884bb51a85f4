"""Where a redirect leads, and whether it is followed. Pure."""

from keeper.errors import NetError
from keeper.talking.address import Address, shown


def redirected(method, asked, location):
    """Address that a redirect of `asked` leads to; NetError if it isn't followed."""
    if not location:
        raise NetError("%s redirects to nowhere" % asked.server)
    if location.startswith("//"):
        location = ("https:" if asked.tls else "http:") + location
    elif location.startswith("/"):
        location = asked.server + location
    elif "://" not in location.split("?")[0]:
        path = asked.path.split("?")[0]
        location = asked.server + (path if location.startswith("?") else path[: path.rfind("/") + 1]) + location
    if method not in ("GET", "HEAD"):
        raise NetError("%s redirects %s to %s, which isn't followed" % (asked.server, method, shown(location)))
    onward = Address(location)
    if asked.tls and not onward.tls:
        raise NetError("%s redirects to %s without TLS, which isn't followed" % (asked.server, onward.server))
    return onward
