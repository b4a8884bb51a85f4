"""Firmware from a service as it is: a stream that can start anywhere. Must not know any service's calls."""

from keeper.errors import NetError
from keeper.services.answers import check_status, json_of
from keeper.talking.address import number, printable


class RawRelease:
    """`size` of all of it, `end`: the offset at which this stream ends, or None if unknown.

    A response that can't be one is closed.
    """

    resumable = True

    def __init__(self, response, offset, size, read=json_of):
        try:
            self._take(response, offset, size, read)
        except BaseException:  # a pulse may end it as well
            response.close()
            raise

    def _take(self, response, offset, size, read):
        check_status(response, (200, 206) if offset or size else (200,), read)
        self._response = response
        self.readinto = response.readinto
        self.offset = 0  # 200: the server sends all of it, whatever it was asked for
        self.size = self.end = response.length
        self.etag = response.headers.get("etag")
        if response.status == 206:
            self.offset = offset
            self.size = _whole_size(response, offset, size)
            self.end = min(offset + size, self.size) if size else self.size

    def close(self):
        self._response.close()


def ask_raw(ask, offset, etag, size):
    """(response, offset) of raw firmware from `offset` on if the server can and `etag` still holds, else from 0 on.

    ask: sends the request with the headers that it is given. size: so many bytes are wanted, or all.
    """
    if not etag or etag.startswith("W/"):
        offset = 0  # it can't be told whether the firmware is still the same
    response = ask(_range(offset, etag, size))
    if response.status == 416 and offset:  # it is shorter now: another one
        response.close()
        offset = 0
        response = ask(_range(0, None, size))
    return response, offset


def _range(offset, etag, size):
    headers = {}
    if offset or size:
        headers["Range"] = "bytes=%d-%s" % (offset, offset + size - 1 if size else "")
    if offset:
        headers["If-Range"] = etag
    return headers


def _whole_size(response, offset, size):
    """Size of all of it, from `bytes 100-199/200`; NetError if that isn't what was asked for."""
    text = response.headers.get("content-range", "")
    unit, _, rest = text.partition(" ")
    span, _, whole = rest.partition("/")
    first, _, last = span.partition("-")
    whole = number(whole, 10) or 0
    end = min(offset + size, whole) if size else whole
    if unit != "bytes" or not whole or number(first, 10) != offset or number(last, 10) != end - 1:
        raise NetError("the server sends another part than it was asked for: %s" % (printable(text, 60) or "unnamed"))
    if response.length not in (None, end - offset):
        raise NetError("the server's Content-Length and Content-Range differ")
    return whole
