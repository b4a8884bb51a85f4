"""A line that somebody types on the serial console, gathered without ever waiting for its next character.

It is given the stream (`sys.stdin`), and must not know what a line means. It reads bytes: `read(1)` of a board's
sys.stdin waits for the rest of a character that a disturbance began, for ever. What it takes is bounded: one line of
`LINE_LIMIT` bytes, and so many bytes in one `poll`.
"""

import select

LINE_LIMIT = 200
_AT_ONCE = 256  # whoever floods the console gets no more than this of the thread

_TAB, _LF, _CR, _SPACE, _CTRL_U = 9, 10, 13, 32, 21
_RUB = (8, 127)
_ASCII = 128


class LineInput:
    """`echo(text)` shows what is typed, or is None; `hidden`: words after which it shows only stars.

    whole: whether a line is there to be taken.
    """

    def __init__(self, stream, echo=None, hidden=()):
        self._stream = stream.buffer
        self._poller = select.poll()
        self._poller.register(stream, select.POLLIN)
        self._echo = echo or (lambda text: None)
        self._hidden = [word.encode() for word in hidden]
        self._one = bytearray(1)
        self._line = bytearray(LINE_LIMIT)
        self._after_cr = False
        self._begin()

    def poll(self):
        """Take what has been typed, up to the end of a line; then nothing more until that was taken."""
        for _ in range(_AT_ONCE):
            # A stream that is closed may look readable and give nothing: no reason to go on.
            if self.whole or not self._readable() or not self._stream.readinto(self._one):
                return
            self._put(self._one[0])

    def take(self):
        """(text, fault) of a whole line, once; None without one. fault: why it can't be used, or ""."""
        if not self.whole:
            return None
        text, fault = "", self._fault
        try:
            text = str(bytes(memoryview(self._line)[: self._length]), "utf-8")
        except UnicodeError:
            fault = fault or "the line isn't UTF-8"
        self._begin()
        return text, fault

    def shown(self):
        """What of the line stands on the screen."""
        return "" if self.whole else "".join([self._sign(at) for at in range(self._length)])

    def _begin(self):
        self._length = 0
        self._fault = ""
        self.whole = False
        self._secret_from = None

    def _readable(self):
        for _, event in self._poller.ipoll(0):
            return bool(event & select.POLLIN)
        return False

    def _put(self, byte):
        second = byte == _LF and self._after_cr  # CR LF is one end
        self._after_cr = byte == _CR
        if byte in (_CR, _LF):
            if self._length and not second:
                self._echo("\n")
                self.whole = True
            elif not second:
                self._begin()
        elif byte == _CTRL_U:
            self._rub_out(self._length)
            self._begin()
        elif byte in _RUB:
            self._rub_out(1)
        elif byte < _SPACE and byte != _TAB:
            self._fault = self._fault or "the line has control characters"
        elif self._length == LINE_LIMIT:
            self._fault = self._fault or "the line has more than %d characters" % LINE_LIMIT
        else:
            self._add(_SPACE if byte == _TAB else byte)

    def _add(self, byte):
        if byte == _SPACE and self._secret_from is None:
            words = bytes(memoryview(self._line)[: self._length]).split()
            if words and words[-1] in self._hidden:
                self._secret_from = self._length
        self._line[self._length] = byte
        self._length += 1
        self._echo(self._sign(self._length - 1))

    def _rub_out(self, count):
        while count and self._length:
            self._length -= 1
            if self._sign(self._length):
                self._echo("\b \b")
                count -= 1
        if self._secret_from is not None and self._length <= self._secret_from:
            self._secret_from = None

    def _sign(self, at):
        """What stands on the screen for a byte: characters that aren't ASCII are of several bytes, and one sign."""
        byte = self._line[at]
        if byte & 0xC0 == _ASCII:
            return ""
        if byte == _SPACE or self._secret_from is None or at < self._secret_from:
            return chr(byte) if byte < _ASCII else "?"
        return "*"
