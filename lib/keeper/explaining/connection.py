"""What an exception of a socket or of TLS means. Pure."""

import errno

_TEXTS = {
    errno.ECONNREFUSED: "refuses the connection",
    errno.ECONNRESET: "cut the connection",
    errno.ECONNABORTED: "cut the connection",
    32: "cut the connection",  # EPIPE, which MicroPython's errno doesn't name
    errno.ENOTCONN: "cut the connection",
    errno.EHOSTUNREACH: "can't be reached",
    101: "can't be reached: no network",  # ENETUNREACH of Linux
    114: "can't be reached: no network",  # ENETUNREACH of the ESP32
    errno.ETIMEDOUT: "doesn't answer",
}


def trouble(error, peer, secure, short):
    """(whether the connection broke, words for it). secure: it is TLS; short: the memory that a handshake lacked."""
    code = getattr(error, "errno", None)
    if code in _TEXTS:
        return True, "%s %s" % (peer, _TEXTS[code])
    if isinstance(error, MemoryError) or code == errno.ENOMEM:
        return False, "not enough memory for a connection with %s" % peer
    if short:  # mbedTLS without memory says what it was doing then, or that a certificate is wrong
        return False, "TLS with %s failed: %s" % (peer, short)
    text = " ".join(str(error).split())[:120] or error.__class__.__name__
    if not secure:
        return True, "connection with %s: %s" % (peer, text)
    hint = "; is the clock right?" if "future" in text or "not yet" in text or "expired" in text else ""
    return False, "TLS with %s failed: %s%s" % (peer, text, hint)
