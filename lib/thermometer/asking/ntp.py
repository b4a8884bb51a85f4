"""The time from an NTP server, believed only if it can be true. It sets no clock: who asks does.

Asked here and not by `ntptime`, which gives the seconds only: whether the server has the time itself is in the rest of
its answer (RFC 5905, 7.3).
"""

import random
import socket
import struct

_TIMEOUT_S = 1
_PORT = 123
_SIZE = 48
_QUERY = 0x1B  # version 3, client
_SERVER = 4  # mode of an answer
_UNSYNCHRONISED = 3  # leap indicator
_STRATA = 16  # from which on a server has no time; 0 is a refusal
_EPOCH_S = 2208988800  # from 1900, where NTP begins to count, to 1970
_ERA_S = 1 << 32


def ask(host, epoch_s, first_s, last_s):
    """(seconds of the port's own epoch, "") or (None, why not). epoch_s: where that epoch begins, since 1970.

    Blocks for the name look-up and at most a second for the answer. first_s, last_s: what can be a time, since 1970.
    """
    query = bytearray(_SIZE)
    query[0] = _QUERY
    struct.pack_into(">I", query, 40, random.getrandbits(30))  # comes back: another's answer isn't ours
    try:
        address = socket.getaddrinfo(host, _PORT, 0, socket.SOCK_DGRAM)[0]
        asked = socket.socket(address[0], socket.SOCK_DGRAM)
        try:
            asked.settimeout(_TIMEOUT_S)
            asked.sendto(query, address[-1])
            answer = asked.recv(_SIZE)
        finally:
            asked.close()
    except (OSError, ValueError, IndexError) as error:
        return None, "no answer: %s" % error
    if len(answer) < _SIZE or answer[0] & 7 != _SERVER or answer[24:32] != bytes(query[40:]):
        return None, "the answer makes no sense"
    if answer[0] >> 6 == _UNSYNCHRONISED or not 0 < answer[1] < _STRATA:
        return None, "the server has no time itself"
    wall_s = struct.unpack_from(">I", answer, 40)[0] - _EPOCH_S
    if wall_s < first_s:
        wall_s += _ERA_S  # the count starts again on 7 February 2036
    if not first_s <= wall_s < last_s:
        return None, "the answer has no time in it"
    return wall_s - epoch_s, ""
