"""Whom to trust: the one TLS context that a client keeps, from certificates in DER or PEM. Must not know sockets."""

import binascii
import ssl

from keeper import memory
from keeper.console import say
from keeper.errors import NetError


def trusting(ca):
    """Context that trusts the certificates in `ca` and nothing else; DER of one, or PEM of any number of them.

    ca may be a list of such. One of them that is damaged costs only itself; NetError if nothing can be used.
    """
    sources = ca if isinstance(ca, (list, tuple)) else (ca,)
    useless = None
    count = 0
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ValueError, MemoryError) as error:
        raise NetError("TLS can't be used: %s" % error)
    for source in sources:
        try:
            for certificate in _certificates(source):
                context.load_verify_locations(cadata=certificate)
            count += 1
        except (OSError, ValueError, MemoryError) as error:
            useless = error
    if useless is not None:
        if not count:
            # mbedTLS says of a certificate that finds no room that it is invalid
            raise NetError("the CA certificate can't be used: %s" % (memory.lack(memory.PLAIN) or useless))
        say("trust", "one of the CA certificates can't be used: %s" % useless)
    return context


def _certificates(ca):
    # MicroPython takes one certificate at a time, and PEM only where the port has it: so DER always.
    if isinstance(ca, str):
        ca = ca.encode()
    if not isinstance(ca, (bytes, bytearray)):
        raise ValueError("it is no text")
    if b"-----BEGIN" not in ca:
        return [bytes(ca)]
    found = []
    for piece in ca.split(b"-----BEGIN CERTIFICATE-----")[1:]:
        found.append(binascii.a2b_base64(piece.split(b"-----END")[0]))
    if not found:
        raise ValueError("no certificate in it")
    return found
