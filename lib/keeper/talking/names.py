"""The addresses behind a name. A look-up that fails blocks the ESP32 for 7 s, so what works is kept for a while.

Must not know what is asked of an address.
"""

import socket

from keeper import uptime

_ADDRESSES = 3  # of one name are tried
_LOOK_UP_MS = 30 * 60_000

_known = [None, (), 0]  # the name that was looked up last: (host, port), its addresses, when


def look_up(host, port):
    """Addresses of a name, as getaddrinfo gives them; those that were found last where it finds none now."""
    if _known[0] == (host, port) and uptime.ms() - _known[2] < _LOOK_UP_MS:
        return _known[1]
    try:
        found = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
        found = [one for one in found if one[-1]][:_ADDRESSES]  # the ESP32 can't say an IPv6 address
    except (OSError, ValueError):  # ValueError: on CPython, a name that can't be one
        found = ()
    if not found and _known[0] == (host, port):
        found = _known[1]
    if found:
        _known[:] = (host, port), found, uptime.ms()
    return found


def forget():
    """They don't answer: the next time the name is looked up anew."""
    _known[0] = None
