"""One answer of a server: its head, and its body as a stream or, within a limit, whole or as JSON. Made by keeper.http.

Must not know requests or services.
"""

from keeper.errors import NetError
from keeper.talking import jsontext
from keeper.talking.address import number, printable
from keeper.talking.head import LINES_LIMIT, Head, text_of


class Response(Head):
    """An answer. status: int. headers: dict of the few that are used, lower-case names. length: of the body, or None.

    Leave it with close(), or use it in a `with`; what is left unread then is never fetched.
    """

    def __init__(self, wire, method):
        super().__init__(wire)
        self.length = None
        self._method = method
        self._left = 0  # bytes of the body, or of this chunk, still to come; -1: until the server closes
        self._chunked = False
        self._first_chunk = True

    def __enter__(self):
        return self

    def __exit__(self, error_type, error, trace):
        self.close()

    def close(self):
        """Close the connection; the head stays readable."""
        if self._wire:
            self._wire.close()
            self._wire = None

    def readinto(self, buf):
        """Fill buf with body: less than all of it only where the body ends, 0 after that. NetError if it is cut off."""
        wire = self._wire
        if not wire:
            raise NetError("this response is closed")
        wire.patience.pulse()
        size = len(buf)
        done = 0
        view = None
        while done < size:
            left = self._left
            if left == 0:
                if not self._chunked or not self._next_chunk():
                    break
                continue
            want = size - done
            if 0 < left < want:
                want = left
            if self._low < self._high:
                count = min(want, self._high - self._low)
                buf[done : done + count] = self._view[self._low : self._low + count]
                self._low += count
            else:
                if want == size:
                    count = wire.readinto(buf)
                else:
                    view = view or memoryview(buf)
                    count = wire.readinto(view[done : done + want])
                if count == 0:
                    if left > 0:
                        raise NetError("%s closed in the middle of the body, %d bytes early" % (wire.peer, left))
                    self._left = 0
                    break
            done += count
            wire.patience.moved += count  # heads, and what is between chunks, buy no time
            if left > 0:
                self._left = left - count
        return done

    def json(self, limit=4096):
        """The body as JSON, of at most `limit` bytes; NetError if it is longer or no JSON."""
        try:
            return jsontext.loads(self.body(limit))
        except ValueError:
            raise NetError("the answer isn't JSON")

    def body(self, limit):
        """All of the body, of at most `limit` bytes; NetError if it is longer."""
        if self.length is not None and self.length > limit:
            raise NetError("the answer has %d bytes, not more than %d are read" % (self.length, limit))
        if self.length is not None:
            data = bytearray(self.length)
            self.readinto(data)
        else:
            data = bytearray()
            block = bytearray(256)
            count = len(block)
            while count == len(block):
                count = self.readinto(block)
                data.extend(memoryview(block)[:count])
                if len(data) > limit:
                    raise NetError("the answer is too long: not more than %d bytes are read" % limit)
        return data

    def read_head(self):
        """Read up to the body, and find out where that ends. Called by Client."""
        super().read_head()
        headers = self.headers
        if _encodings(headers.get("content-encoding")):
            raise self._garbage("content-encoding %s, unasked" % printable(headers["content-encoding"], 20))
        length = headers.get("content-length")
        encodings = _encodings(headers.get("transfer-encoding"))
        if encodings:
            if encodings != ["chunked"]:
                raise self._garbage("transfer-encoding %s" % printable(headers["transfer-encoding"], 20))
            if length is not None:
                raise self._garbage("two lengths of one body")
            self._chunked = True
        elif length is not None:
            self.length = number(length, 10)
            if self.length is None:
                raise self._garbage("content-length %s" % printable(length, 20))
            self._left = self.length
        else:
            self._left = -1
        if self._method == "HEAD" or self.status in (204, 304):
            self._chunked = False
            self._left = 0
            if self._method != "HEAD":
                self.length = 0

    def _next_chunk(self):
        """Read up to the data of the next chunk; False if it was the last one."""
        self.allowance = LINES_LIMIT
        if not self._first_chunk and self._line():
            raise self._garbage("a chunk that is longer than its size")
        self._first_chunk = False
        size = number(text_of(self._line().split(b";")[0].strip()), 16)
        if size is None:
            raise self._garbage("a chunk without a size")
        self._left = size
        if size:
            return True
        self._chunked = False
        for _ in self._fields():
            pass
        return False


def _encodings(text):
    """What a list of encodings comes to, without those that encode nothing."""
    found = [one.strip().lower() for one in text.split(",")] if text else ()
    return [one for one in found if one not in ("", "identity")]
