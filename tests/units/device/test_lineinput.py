"""Lines from a console on which people type, programs ask and loose wires make noise."""

import gc

import micropython

from keeper.typing import lineinput
from keeper.typing.lineinput import LINE_LIMIT, LineInput


class Wire:
    """A stream with bytes on it that is its own poller, and the screen on which the board shows what is typed."""

    POLLIN, POLLHUP = 1, 16

    def __init__(self, hidden=(), event=None):
        self.waiting = b""
        self.position = 0
        self.reads = 0
        self.screen = ""
        self.event = event
        self.buffer = self
        lineinput.select = self
        self.lines = LineInput(self, self._show, hidden)

    def _show(self, text):
        self.screen += text

    # select and its poll

    def poll(self):
        return self

    def register(self, stream, mask):
        assert stream is self and mask == self.POLLIN

    def ipoll(self, timeout_ms):
        assert timeout_ms == 0
        if self.event or self.position < len(self.waiting):
            yield self, self.event or self.POLLIN

    def readinto(self, buffer):
        assert len(buffer) == 1
        self.reads += 1
        if self.position == len(self.waiting):
            return 0
        buffer[0] = self.waiting[self.position]
        self.position += 1
        return 1

    # the test's hands

    def types(self, data):
        self.waiting = self.waiting[self.position :] + (data if isinstance(data, bytes) else data.encode())
        self.position = 0
        self.lines.poll()

    def line(self):
        """The text of a line that has no fault."""
        text, fault = self.lines.take()
        assert fault == "", fault
        return text


def test_a_line_is_taken_once_when_its_end_is_there():
    wire = Wire()
    wire.types("sta")
    assert wire.lines.take() is None
    wire.types("tus\r")
    assert wire.line() == "status"
    assert wire.lines.take() is None
    assert wire.screen == "status\n"


def test_cr_lf_and_both_end_a_line_once():
    wire = Wire()
    for end in ("\r", "\n", "\r\n", "\r", "\r\n", "\n"):
        wire.types("a" + end)
        assert wire.line() == "a"
        wire.types("")
        assert wire.lines.take() is None


def test_a_line_waits_until_the_one_before_was_taken():
    wire = Wire()
    wire.types("one\r\ntwo\r\n")
    assert wire.line() == "one"
    wire.types("")
    assert wire.line() == "two"


def test_empty_lines_are_none():
    wire = Wire()
    wire.types("\r\n\n\n\r\r \b\n\x00\n")
    assert wire.lines.take() is None
    assert wire.screen == " \b \b"


def test_what_was_typed_can_be_rubbed_out():
    wire = Wire()
    wire.types("stop\b\x7fatus\n")
    assert wire.line() == "status"
    assert wire.screen == "stop\b \b\b \batus\n"
    wire.types("\b\b\bfoo\x15bar\n")
    assert wire.line() == "bar"
    assert wire.screen.endswith("foo" + "\b \b" * 3 + "bar\n")


def test_a_character_of_several_bytes_is_rubbed_out_as_one():
    wire = Wire()
    wire.types("Küche\b\b\b\be\n")
    assert wire.line() == "Ke"
    assert wire.screen == "K?che" + "\b \b" * 4 + "e\n"


def test_a_line_that_is_too_long_is_refused_as_one():
    wire = Wire()
    for _ in range(40):
        wire.types("x" * 100)
    assert wire.lines.take() is None
    wire.types("\n")
    text, fault = wire.lines.take()
    assert len(text) == LINE_LIMIT and "more than 200 characters" in fault
    assert wire.screen == "x" * LINE_LIMIT + "\n"
    wire.types("y" * LINE_LIMIT + "\n")
    assert wire.line() == "y" * LINE_LIMIT


def test_control_characters_and_broken_utf_8_are_refused():
    wire = Wire()
    for noise, reason in ((b"a\x1b[A\n", "control characters"), (b"a\x00\n", "control"), (b"\xc3\n", "UTF-8")):
        wire.types(noise)
        assert reason in wire.lines.take()[1]
    wire.types(b"\x03a\x15good\n")
    assert wire.line() == "good"


def test_a_byte_that_begins_a_character_is_not_waited_for():
    wire = Wire()
    wire.types(b"\xf0")
    assert wire.lines.take() is None and wire.position == 1


def test_a_tab_is_a_space():
    wire = Wire()
    wire.types("wifi\tlab\n")
    assert wire.line() == "wifi lab"


def test_one_poll_takes_no_more_than_its_share():
    wire = Wire()
    wire.types("\n" * 100000)
    assert wire.reads == 256
    assert wire.lines.take() is None


def test_a_closed_stream_holds_nobody_up():
    for event in (Wire.POLLIN, Wire.POLLHUP):
        wire = Wire(event=event)
        wire.lines.poll()
        assert wire.reads == (event == Wire.POLLIN)
        assert wire.lines.take() is None


def test_secrets_are_shown_as_stars():
    wire = Wire(hidden=("provision",))
    wire.types("provision Ab-c d\b\bx")
    assert wire.lines.shown() == "provision ****x".replace("x", "*")
    wire.types("\n")
    assert wire.line() == "provision Ab-cx"
    assert wire.screen == "provision **** *\b \b\b \b*\n"
    wire.types("provision \b s\b\b\b\b\b\b\b\b\b\b\bhelp x\n")
    assert wire.line() == "help x"
    assert wire.screen.endswith("help x\n")


def test_what_stands_on_the_line_is_shown_again():
    wire = Wire()
    wire.types("st")
    assert wire.lines.shown() == "st"
    wire.types("atus\n")
    assert wire.lines.shown() == ""


def test_noise_costs_no_memory():
    wire = Wire()
    wire._show = wire.lines._echo = lambda text: None
    gc.collect()
    if not hasattr(gc, "mem_alloc"):
        return
    noise = bytes(range(256)) * 16
    wire.types(noise)
    gc.collect()
    before = gc.mem_alloc()
    for _ in range(20):
        wire.types(noise)
        wire.lines.take()
        wire.waiting = b""
        wire.position = 0
    gc.collect()
    assert gc.mem_alloc() - before < 500, micropython.mem_info()
