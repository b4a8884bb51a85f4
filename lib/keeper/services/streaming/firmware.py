"""Firmware from a service as it is: a stream that can start anywhere. Must not know any service's calls."""

from keeper.errors import NetError
from keeper.services.answers import check_status, json_of
from keeper.talking.address import number


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
            span = _span(response, offset)
            if not span:  # of the whole, which was asked for
                raise NetError("the server sends another part than it was asked for")
            self.end, self.size = span

    def close(self):
        self._response.close()


def ask_raw(ask, offset, etag, size):
    """(response, offset) of raw firmware from `offset` on if the server can and `etag` still holds, else from 0 on.

    ask: sends the request with the headers that it is given. size: so many bytes are wanted, or all. Whether it still
    is the same firmware shows in its hashes: without a strong ETag it is asked for all the same. A 206 that is none, or
    several parts in one, is no answer: then all of it is asked for.
    """
    response = ask(_range(offset, etag, size))
    if response.status == 416 and offset:  # it is shorter now: another one
        response.close()
        offset = 0
        response = ask(_range(0, None, size))
    if response.status == 206 and not _span(response, offset):
        response.close()
        offset = 0
        response = ask({})
    return response, offset


def _range(offset, etag, size):
    headers = {}
    if offset or size:
        headers["Range"] = "bytes=%d-%s" % (offset, offset + size - 1 if size else "")
    if offset and etag and not etag.startswith("W/"):
        headers["If-Range"] = etag
    return headers


def _span(response, offset):
    """(where it ends, size of all of it or None), from `bytes 100-199/200`; None if that isn't what can be used."""
    unit, _, rest = response.headers.get("content-range", "").partition(" ")
    span, _, whole = rest.partition("/")
    first, _, last = span.partition("-")
    first, last, size = number(first, 10), number(last, 10), number(whole, 10)
    if unit.lower() != "bytes" or first != offset or last is None or last < first or (size is None and whole != "*"):
        return None
    if (size is not None and last >= size) or response.length not in (None, last + 1 - first):
        return None
    return last + 1, size
