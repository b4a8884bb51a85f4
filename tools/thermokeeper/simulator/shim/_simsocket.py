"""`socket` of the simulated board: the host's, but only while Wi-Fi is up and there is memory for one more.

The sockets are the host's own objects. That one has been closed shows by its number: nothing is open under it.
"""

import select
import socket as _host
from socket import *  # noqa: F403

import _sim
import _simntp
import network

_ENOBUFS = 105
_NO_ROUTE = 118
_NO_ANSWER, _NO_MEMORY = -202, -203  # EAI_FAIL, EAI_MEMORY of lwIP
_POLLNVAL = 32

_poll = select.poll()
_open = set()


def watch():
    """Give back the memory of sockets that are closed."""
    if _open:
        for number, events in _poll.poll(0):
            if events & _POLLNVAL:
                _forget(number)


def _forget(number):
    _open.discard(number)
    _poll.unregister(number)
    _sim.board().memory.close_socket(number)


def socket(*arguments):
    board = _sim.board()
    if arguments[1:2] == (_host.SOCK_DGRAM,):
        return _simntp.Asked()
    if not network.linked():
        raise OSError(_NO_ROUTE)  # a chip says so a moment later, of connect
    board.connect()
    memory = board.memory
    opened = _host.socket(*arguments)
    number = opened.fileno()
    if number in _open:
        _forget(number)
    if not memory.open_socket(number):
        opened.close()
        raise OSError(_ENOBUFS)
    _open.add(number)
    _poll.register(number, 0)
    return opened


def getaddrinfo(host, port, *more):
    board = _sim.board()
    board.alive()
    plain = host.replace(".", "").isdigit()
    if not network.linked():
        # Without a network nothing resolves; an address that needs no resolving has no route.
        raise OSError(118 if plain else _NO_ANSWER)
    if not board.memory.room_for_an_address():
        raise OSError(_NO_MEMORY if plain else _NO_ANSWER)
    if more[1:2] == (_host.SOCK_DGRAM,):
        return _simntp.addresses(host, port, more[1])
    return _host.getaddrinfo(host, port, *more)
