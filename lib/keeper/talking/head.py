"""The head of an HTTP answer, read line by line through a small buffer, within limits checked before memory is taken.

Lines that nobody here needs are read past, however long and many they are: policies and cookies are nobody's fault.
Must not know what the body is; keeper.response goes on from here with what the buffer still holds.
"""

from keeper.errors import NetError
from keeper.talking.address import number
from keeper.talking.wire import CutError

_LINE_LIMIT = 2048  # of one that is kept
_HEAD_LIMIT = 65536
LINES_LIMIT = 8192  # inside the body, for each chunk
_BUFFER_SIZE = 512
_KEPT = (
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "date",
    "etag",
    "location",
    "retry-after",
    "transfer-encoding",
)
_FRAMING = ("content-length", "transfer-encoding")


class Head:
    """status: int. headers: dict of the few that are used, lower-case names."""

    def __init__(self, wire):
        self.status = 0
        self.headers = {}
        self._wire = wire
        self._buf = bytearray(_BUFFER_SIZE)  # read ahead: heads, chunk sizes, and what of the body came with them
        self._view = memoryview(self._buf)
        self._low = 0
        self._high = 0
        self.allowance = _HEAD_LIMIT  # bytes of lines that may still come

    def read_head(self):
        """Read up to the body."""
        self._read_status()
        while 100 <= self.status < 200:
            if self.status == 101:
                raise self._garbage("an answer of another protocol")
            for _ in self._fields():
                pass
            self._read_status()
        for name, value in self._fields():
            if name in _KEPT:
                if name in _FRAMING and self.headers.get(name, value) != value:
                    raise self._garbage("two different %s" % name)
                self.headers[name] = value

    def peek(self):
        """Whether an answer has begun to arrive, after the request couldn't be sent whole."""
        try:
            self._high = self._wire.readinto(self._buf)
        except NetError:
            return False
        return self._high > 0

    def _read_status(self):
        line = self._line()
        code = line[9:12]
        if line[:9] not in (b"HTTP/1.1 ", b"HTTP/1.0 ") or len(code) != 3 or line[12:13] not in (b"", b" "):
            raise self._garbage("no HTTP answer")
        self.status = number(text_of(code), 10) or 0
        if self.status < 100:
            raise self._garbage("a status that is none")

    def _fields(self):
        """Header fields up to the empty line: (lower-case name, value)."""
        while True:
            line = self._line(False)
            if not line:
                return
            colon = line.find(b":")
            name = line[:colon]
            if colon < 1 or name != name.strip():
                raise self._garbage("a broken header")
            name = text_of(name).lower()
            if len(line) > _LINE_LIMIT and name in _KEPT:
                raise self._garbage("a header that is too long")
            yield name, text_of(line[colon + 1 :].strip())

    def _line(self, is_whole=True):
        """Next line of the head without its end; bytes. Of one that is too long as much as shows that, or NetError."""
        line = b""
        while True:
            if self._low == self._high:
                self._low = 0
                self._high = self._wire.readinto(self._buf)
                if not self._high:
                    raise CutError("%s closed without an answer" % self._wire.peer)
            end = self._buf.find(b"\n", self._low, self._high)
            stop = self._high if end < 0 else end + 1
            self.allowance -= stop - self._low
            if self.allowance < 0 or (is_whole and len(line) + stop - self._low > _LINE_LIMIT):
                raise self._garbage("a header that is too long")
            if len(line) <= _LINE_LIMIT:
                line += bytes(self._view[self._low : stop])
            self._low = stop
            if end >= 0:
                return line[:-2] if line.endswith(b"\r\n") else line[:-1]

    def _garbage(self, what):
        return NetError("%s sends %s" % (self._wire.peer, what))


def text_of(data):
    """Text of a header's bytes, "" if it has none."""
    try:
        return data.decode()
    except ValueError:
        return ""  # in an older encoding; nothing that is used here is
