"""Web addresses: taken apart, compared, followed through a redirect; and the few texts that a server may send us.

Pure; must not know sockets.
"""

from keeper.errors import NetError

_DIGITS = "0123456789abcdef"
_NUMBER_LIMIT = 0x3FFFFFFF  # no length beyond it is believed; above it the ESP32's numbers cost memory


class Address:
    """A URL in its parts: tls, host, port, authority (host and port as written), server (up to the path), path."""

    def __init__(self, url):
        scheme, colon, rest = url.partition("://")
        if scheme not in ("http", "https") or not colon:
            raise NetError("not an http(s) address: %s" % shown(url))
        rest = rest.split("#")[0]
        cut = len(rest)
        for mark in "/?":
            if mark in rest:
                cut = min(cut, rest.index(mark))
        authority = rest[:cut]
        path = rest[cut:]
        self.path = path if path.startswith("/") else "/" + path
        self.tls = scheme == "https"
        self.authority = authority
        self.server = "%s://%s" % (scheme, authority)
        self.host = authority
        self.port = 443 if self.tls else 80
        colon = authority.rfind(":")
        if colon > authority.rfind("]"):  # else it is one inside [::1]
            self.host = authority[:colon]
            self.port = number(authority[colon + 1 :], 10) or 0
        if self.host.startswith("[") and self.host.endswith("]"):
            self.host = self.host[1:-1]
        if not self.host or not 0 < self.port < 65536 or "@" in authority or " " in url or not is_plain(url):
            raise NetError("not a usable address: %s" % shown(url))

    def same_server(self, other):
        """Whether scheme, host and port are the same: only then may a key be sent."""
        return (self.tls, self.host.lower(), self.port) == (other.tls, other.host.lower(), other.port)


def number(text, base):
    """A length as the wire has it: digits only, and not beyond belief; else None."""
    value = 0
    for char in text:
        digit = _DIGITS.find(char.lower())
        if not 0 <= digit < base:
            return None
        value = value * base + digit
        if value > _NUMBER_LIMIT:
            return None
    return value if text else None


def is_plain(text):
    """Whether it is all printable ASCII: nothing in it can end a line or play with a terminal."""
    for char in text:
        if not " " <= char <= "~":
            return False
    return True


def printable(text, limit):
    """A server's words for a message: up to `limit` characters in one line of printable ASCII."""
    return "".join([char if " " <= char <= "~" else "?" for char in text[:limit]])


def shown(url):
    """An address for a message, without a password."""
    return "(one with a password in it)" if "@" in url else printable(url, 80)
