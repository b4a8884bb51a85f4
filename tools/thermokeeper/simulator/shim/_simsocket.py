"""`socket` of the simulated board: the host's, but only while Wi-Fi is up."""

import socket as _host
from socket import *  # noqa: F403

import _sim
import network


def getaddrinfo(host, port, *more):
    _sim.board().alive()
    if not network.linked():
        # Without a network nothing resolves; an address that needs no resolving has no route.
        raise OSError(118 if host.replace(".", "").isdigit() else -202)
    return _host.getaddrinfo(host, port, *more)
