"""The time server of the world around the simulated board, as a UDP socket sees it; nothing of it leaves the host.

The world's `ntp`: "ok" answers whoever is asked; "off": nobody; "unsynchronized", "refuses" and "stratum 16" are
servers without a time (leap indicator 3, stratum 0 and 16); "past" is one that is wrong by twenty years; any other
text is the one host that answers. The form is RFC 5905's.
"""

import struct

import _sim
import network

_EPOCH_S = 2208988800  # from 1900 to 1970
_SERVER = 4
_TIMED_OUT = 116
_PAST_S = 20 * 365 * 86400
# ntp: leap indicator, stratum, seconds it is behind
_SERVERS = {
    "ok": (0, 2, 0),
    "unsynchronized": (3, 2, 0),
    "refuses": (0, 0, 0),
    "stratum 16": (0, 16, 0),
    "past": (0, 2, _PAST_S),
}


class Asked:
    """A UDP socket that asks for the time. More than that no code of a board does with one."""

    def __init__(self):
        self._timeout_s = 0
        self._query = None
        self._host = None

    def settimeout(self, timeout_s):
        self._timeout_s = timeout_s

    def sendto(self, query, address):
        if not network.linked():
            raise OSError(118)
        self._query, self._host = bytes(query), address[0]
        return len(query)

    def recv(self, size):
        board = _sim.board()
        server = board.world.get("ntp", "ok")
        if server not in _SERVERS:
            server = "ok" if server == self._host else "off"
        if server == "off" or len(self._query) != 48:
            board.wait_ms(self._timeout_s * 1000)
            raise OSError(_TIMED_OUT)
        leap, stratum, behind_s = _SERVERS[server]
        seconds = int(board.host_time()) - behind_s + _EPOCH_S
        head = bytes([leap << 6 | 3 << 3 | _SERVER, stratum]) + bytes(22)
        return (head + self._query[40:48] + bytes(8) + struct.pack(">II", seconds & 0xFFFFFFFF, 0))[:size]

    def close(self):
        pass


def addresses(host, port, kind):
    """What getaddrinfo says of a time server."""
    return [(2, kind, 0, "", (host, port))]
