"""Finds one text among the members of a JSON object that arrives as a stream, and checks what stands around it.

What it skips is bounded. Must not know what the text means, nor where the JSON comes from.
"""

from keeper.errors import NetError

_SKIP_LIMIT = 16384  # JSON around the text
_NAME_LIMIT = 64
_DEPTH_LIMIT = 16
_BARE = b"+-.0123456789abcdefghijklmnopqrstuvwxyzE"  # numbers, true, false, null
SPACE = b" \t\r\n"


class JsonMember:
    """Base of a reader of the member's text. source: has readinto(buf) -> n, 0 at its end. raw: its buffer."""

    def __init__(self, source, member, raw):
        self._source = source
        self._member = member.encode()
        self._raw = raw
        self._low = 0  # raw[low:high] has been read, but not looked at yet
        self._high = 0
        self._skip_left = _SKIP_LIMIT

    def find_member(self):
        """Read up to the first character of the wanted text."""
        if self._token() != 123:  # {
            raise garbage("no JSON object")
        code = self._token()
        while True:
            if code != 34:
                raise garbage("no member %s" % self._member.decode())
            name = self._string(_NAME_LIMIT)
            if self._token() != 58:  # :
                raise garbage("broken JSON")
            code = self._token()
            if name == self._member:
                if code != 34:
                    raise garbage("a %s that isn't text" % name.decode())
                return
            code = self._skip_value(code)
            if code == 44:  # ,
                code = self._token()
            elif code == 125:  # }
                raise garbage("no member %s" % self._member.decode())
            else:
                raise garbage("broken JSON")

    def check_rest(self):
        """Read what follows the text, to the end."""
        code = self._token()
        while code == 44:
            if self._token() != 34:
                raise garbage("broken JSON")
            if self._string(_NAME_LIMIT) == self._member:
                raise garbage("%s twice" % self._member.decode())
            if self._token() != 58:
                raise garbage("broken JSON")
            code = self._skip_value(self._token())
        if code != 125:
            raise garbage("broken JSON")
        if self._token() >= 0:
            raise garbage("something behind the JSON")

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
                    raise garbage("JSON nested too deep")
            elif depth and code in (125, 93):
                depth -= 1
                code = self._token()
            elif depth and code in (44, 58):
                code = self._token()
            elif code >= 0 and code in _BARE:
                while code >= 0 and code in _BARE:
                    code = self._byte()
                if code >= 0 and code in SPACE:
                    code = self._token()
            else:
                raise garbage("broken JSON")
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
                raise garbage("broken JSON")
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
        while code >= 0 and code in SPACE:
            code = self._byte()
        return code

    def _byte(self):
        if self._low == self._high:
            self._low = 0
            self._high = self._source.readinto(self._raw)
            if not self._high:
                return -1
        self._skip_left -= 1
        if self._skip_left < 0:
            raise garbage("too much around the text")
        self._low += 1
        return self._raw[self._low - 1]


def garbage(what):
    """The error for a body that isn't what it should be."""
    return NetError("the firmware's JSON: %s" % what)
