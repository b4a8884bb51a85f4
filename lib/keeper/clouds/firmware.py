"""Firmware from a service as a stream: raw and resumable, or as base64 text in JSON.

Must not know any service's calls.
"""

from keeper.address import number, printable
from keeper.base64stream import Base64Stream
from keeper.clouds.answers import check_status
from keeper.errors import NetError

_LIMIT_BYTES = 16 * 1024 * 1024


class RawRelease:
    """Firmware as it is."""

    resumable = True

    def __init__(self, response, offset):
        check_status(response, (200, 206) if offset else (200,))
        self._response = response
        self.readinto = response.readinto
        self.offset = 0  # 200: the server sends all of it, whatever it was asked for
        self.size = response.length
        self.etag = response.headers.get("etag")
        if response.status == 206:
            self.offset = offset
            self.size = _whole_size(response, offset)

    def close(self):
        self._response.close()


class TextRelease:
    """Firmware as base64 text in JSON; its size shows only at its end."""

    resumable = False
    offset = 0
    size = None
    etag = None

    def __init__(self, response, offset):
        check_status(response, (200,))
        self._response = response
        self.readinto = Base64Stream(response, _LIMIT_BYTES).readinto

    def close(self):
        self._response.close()


def release_stream(kind, response, offset):
    """A RawRelease or TextRelease of the response; if it can't be one, the response is closed."""
    try:
        return kind(response, offset)
    except BaseException:  # a pulse may end it as well
        response.close()
        raise


def _whole_size(response, offset):
    """Size of all of it, from `bytes 100-199/200`; NetError if that isn't the rest from offset on."""
    text = response.headers.get("content-range", "")
    unit, _, rest = text.partition(" ")
    span, _, whole = rest.partition("/")
    first, _, last = span.partition("-")
    whole = number(whole, 10)
    if unit != "bytes" or not whole or number(first, 10) != offset or number(last, 10) != whole - 1:
        raise NetError("the server sends another part than it was asked for: %s" % (printable(text, 60) or "unnamed"))
    if response.length not in (None, whole - offset):
        raise NetError("the server's Content-Length and Content-Range differ")
    return whole
