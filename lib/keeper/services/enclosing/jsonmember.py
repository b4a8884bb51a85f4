"""Finds one text among the members of a JSON object that arrives as a stream, and checks what stands around it.

What it skips is bounded. Must not know what the text means, nor where the JSON comes from.
"""

_NAME_LIMIT = 64
_DEPTH_LIMIT = 16
_SPACE = b" \t\r\n"
_BARE = b"+-.0123456789abcdefghijklmnopqrstuvwxyzE"  # numbers, true, false, null


def find_member(source, member, raw, low, high, left):
    """Read up to the first character of the member's text. source: has readinto(buf) -> n, 0 at its end.

    raw: a buffer for it, of which [low:high] has been read, but not looked at yet. left: so many bytes may be around
    the text. Gives low, high and left as they are then. ValueError if there is no such member.
    """
    reader = _Reader(source, member, raw, low, high, left)
    reader.find()
    return reader.low, reader.high, reader.left


def check_rest(source, member, raw, low, high, left):
    """Read what follows the text, to the end; takes and gives the same."""
    reader = _Reader(source, member, raw, low, high, left)
    reader.check_rest()
    return reader.low, reader.high, reader.left


class _Reader:
    """Of the JSON, byte by byte."""

    def __init__(self, source, member, raw, low, high, left):
        self._source = source
        self._member = member
        self._raw = raw
        self.low = low
        self.high = high
        self.left = left

    def find(self):
        if self._token() != 123:  # {
            raise ValueError("no JSON object")
        code = self._token()
        while True:
            if code != 34:
                raise ValueError("no member %s" % self._member.decode())
            name = self._string(_NAME_LIMIT)
            if self._token() != 58:  # :
                raise ValueError("broken JSON")
            code = self._token()
            if name == self._member:
                if code != 34:
                    raise ValueError("a %s that isn't text" % name.decode())
                return
            code = self._skip_value(code)
            if code == 44:  # ,
                code = self._token()
            elif code == 125:  # }
                raise ValueError("no member %s" % self._member.decode())
            else:
                raise ValueError("broken JSON")

    def check_rest(self):
        """Read what follows the text, to the end."""
        code = self._token()
        while code == 44:
            if self._token() != 34:
                raise ValueError("broken JSON")
            if self._string(_NAME_LIMIT) == self._member:
                raise ValueError("%s twice" % self._member.decode())
            if self._token() != 58:
                raise ValueError("broken JSON")
            code = self._skip_value(self._token())
        if code != 125:
            raise ValueError("broken JSON")
        if self._token() >= 0:
            raise ValueError("something behind the JSON")

    def _skip_value(self, code):
        """Skip the value that begins with this character; the first one behind it that isn't space."""
        depth = 0
        while True:
            if code == 34:
                self._string(0)
                code = self._token()
            elif code in (123, 91):
                depth += 1
                code = self._token()
                if depth > _DEPTH_LIMIT:
                    raise ValueError("JSON nested too deep")
            elif depth and code in (125, 93):
                depth -= 1
                code = self._token()
            elif depth and code in (44, 58):
                code = self._token()
            elif code >= 0 and code in _BARE:
                while code >= 0 and code in _BARE:
                    code = self._byte()
                if code >= 0 and code in _SPACE:
                    code = self._token()
            else:
                raise ValueError("broken JSON")
            if not depth:
                return code

    def _string(self, limit):
        """Skip a string; its bytes if there are no more than `limit` and no escapes, else b""."""
        text = bytearray()
        plain = True
        while True:
            code = self._byte()
            if code == 34:
                return bytes(text) if plain else b""
            if code < 32:
                raise ValueError("broken JSON")
            if code == 92:
                plain = False
                self._byte()
            if len(text) < limit:
                text.append(code)
            else:
                plain = False

    def _token(self):
        """Next character that isn't space; -1 at the end."""
        code = self._byte()
        while code >= 0 and code in _SPACE:
            code = self._byte()
        return code

    def _byte(self):
        if self.low == self.high:
            self.low = 0
            self.high = self._source.readinto(self._raw)
            if not self.high:
                return -1
        self.left -= 1
        if self.left < 0:
            raise ValueError("too much around the text")
        self.low += 1
        return self._raw[self.low - 1]
