"""A stream out of base64 text inside JSON, `{"firmware": "<base64>"}`, decoded in blocks as it arrives.

1.5 MB of text never fits in RAM; this needs some 1 KB, whatever the size. Must not know where the JSON comes from.
Other members may stand before and after the one that is wanted. Line ends, as JSON escapes, may be in the text.
"""

from binascii import a2b_base64

from keeper.errors import NetError
from keeper.phases import forget
from keeper.talking.address import number

_SIZE = 512  # of base64 characters decoded at once; a multiple of 4
_SPACE_LIMIT = 2048  # line ends in a row
_AROUND_LIMIT = 16384  # of JSON around the text
_SPACE = b" \t\r\n"

_BEFORE = 0
_INSIDE = 1
_AFTER = 2
_DONE = 3


class Base64Stream:
    """source: has readinto(buf) -> n, 0 at its end. limit: of decoded bytes. member: the name of the text in JSON."""

    def __init__(self, source, limit, member="firmware"):
        self._source = source
        self._member = member.encode()
        self._raw = bytearray(_SIZE)
        self._low = 0  # raw[low:high] has been read, but not looked at yet
        self._high = 0
        self._around_left = _AROUND_LIMIT
        self._left = limit
        self._limit = limit
        self._view = memoryview(self._raw)
        self._tails = [self._view[i:] for i in range(4)]
        self._one = bytearray(1)
        self._kept = 0  # characters of an unfinished group of four, at the start of raw
        self._padded = False
        self._spaces = 0  # line ends since the last characters that were decoded
        self._plain = memoryview(b"")  # decoded, not handed out yet
        self._state = _BEFORE

    def readinto(self, buf):
        """Fill buf: less than all of it only at the end of the text, 0 after it. NetError if anything isn't right."""
        size = len(buf)
        done = 0
        while done < size:
            if not self._plain and not self._refill():
                break
            plain = self._plain
            count = min(size - done, len(plain))
            buf[done : done + count] = plain[:count]
            self._plain = plain[count:]
            done += count
        return done

    def _refill(self):
        """Decode the next block, which may turn out empty; False at the end."""
        if self._state in (_BEFORE, _AFTER):
            self._look_around()
        if self._state == _DONE:
            return False
        raw = self._raw
        start = self._kept
        if self._low < self._high:  # came along with the JSON before it
            stop = self._high - self._low
            self._view[:stop] = self._view[self._low : self._high]
            self._low = self._high = 0
        else:
            count = self._source.readinto(self._tails[start])
            if not count:
                raise _garbage("ends in the middle of the text")
            stop = start + count
            if stop == _SIZE and self._decode_whole():
                return True
        quote = raw.find(b'"', start, stop)
        end = stop if quote < 0 else quote
        clean = end
        if raw.find(b"\\", start, end) >= 0:
            clean = self._unescape(start, end, quote >= 0)
        if quote >= 0:
            self._low = quote + 1
            self._high = stop
            self._state = _AFTER
        self._decode(clean)
        return True

    def _look_around(self):
        """Read what stands before the text or behind it. Its code isn't in memory while the text arrives."""
        from keeper.services import enclosing

        look = enclosing.find_member if self._state == _BEFORE else enclosing.check_rest
        around = self._low, self._high, self._around_left
        try:
            self._low, self._high, self._around_left = look(self._source, self._member, self._raw, *around)
        except ValueError as error:
            raise _garbage(str(error))
        finally:
            forget("keeper.services.enclosing")
        self._state += 1

    def _decode_whole(self):
        """Decode raw if it is nothing but base64: the decoder leaves out what it doesn't know, so the length tells."""
        if self._padded:
            return False
        try:
            plain = a2b_base64(self._raw)
        except ValueError:
            return False
        if len(plain) != _SIZE // 4 * 3:
            return False
        self._kept = 0
        self._hand_out(plain)
        return True

    def _hand_out(self, plain):
        self._left -= len(plain)
        if self._left < 0:
            raise NetError("the firmware is longer than %d bytes" % self._limit)
        self._spaces = 0
        self._plain = memoryview(plain)

    def _decode(self, clean):
        raw = self._raw
        usable = clean & ~3
        kept = clean - usable
        if (kept and self._state == _AFTER) or (clean and self._padded):
            raise _garbage("base64 text of a wrong length")
        if usable:
            size = usable // 4 * 3
            if raw[usable - 1] == 61:  # "="
                size -= 2 if raw[usable - 2] == 61 else 1
                self._padded = True
                if kept:
                    raise _garbage("base64 text of a wrong length")
            try:
                plain = a2b_base64(self._view[:usable] if usable < _SIZE else raw)
            except ValueError:
                raise _garbage("a character that isn't base64")
            if len(plain) != size:
                raise _garbage("a character that isn't base64")
            self._hand_out(plain)
        for i in range(kept):
            raw[i] = raw[usable + i]
        self._kept = kept

    def _unescape(self, start, end, whole):
        """Resolve the escapes in raw[start:end] in place; the new end. Unless whole, the last may go on behind it."""
        raw = self._raw
        view = self._view
        put = at = raw.find(b"\\", start, end)
        while at < end:
            at += 1
            code = self._escaped(at, end, whole)
            at += 1
            if code == 117:  # \u002b
                text = ""
                for _ in range(4):
                    text += chr(self._escaped(at, end, whole))
                    at += 1
                code = number(text, 16)
                if code is None:
                    raise _garbage("a broken escape")
            elif code in b"nrt":
                code = 10
            elif code != 47:  # "/"
                code = 128
            if code > 127:
                raise _garbage("a character that isn't base64")
            if code in _SPACE:
                self._spaces += 1
                if self._spaces > _SPACE_LIMIT:
                    raise _garbage("nothing but space in the text")
            else:
                raw[put] = code
                put += 1
            following = raw.find(b"\\", at, end) if at < end else -1
            if following < 0:
                following = max(at, end)
            count = min(following, end) - at
            if count > 0:
                view[put : put + count] = view[at : at + count]
                put += count
            at = following
        return put

    def _escaped(self, at, end, whole):
        if at < end:
            return self._raw[at]
        if whole or not self._source.readinto(self._one):
            raise _garbage("a broken escape")
        return self._one[0]


def _garbage(what):
    """The error for a body that isn't what it should be."""
    return NetError("the firmware's JSON: %s" % what)
