"""Base64 text in JSON as a stream: every form it may have, and none that it may not."""

import binascii

from keeper.errors import NetError
from keeper.services.text.base64stream import Base64Stream
from support import raises

DATA = bytes([(i * 7 + i // 251) & 255 for i in range(5000)])


class Pieces:
    """A source that gives at most `size` bytes at once."""

    def __init__(self, data, size=100_000):
        self._data = data
        self._size = size

    def readinto(self, buf):
        count = min(len(buf), self._size, len(self._data))
        buf[:count] = self._data[:count]
        self._data = self._data[count:]
        return count


def encoded(data):
    return binascii.b2a_base64(data)[:-1]


def decoded(text, block_size=512, limit=10_000, piece=100_000):
    stream = Base64Stream(Pieces(text, piece), limit)
    block = bytearray(block_size)
    data = b""
    count = block_size
    while count == block_size:
        count = stream.readinto(block)
        data += bytes(block[:count])
    assert stream.readinto(block) == 0
    return data


def refused(text, part):
    for piece in (100_000, 1):
        with raises(NetError, part):
            decoded(text, piece=piece)


def test_text_of_every_length_comes_out_as_it_was():
    for size in (0, 1, 2, 3, 4, 5, 1535, 1536, 1537, 1538, 3071, 3072, 3073, 5000):
        assert decoded(b'{"firmware": "' + encoded(DATA[:size]) + b'"}') == DATA[:size]


def test_any_cut_into_pieces_gives_the_same():
    for size, pieces in ((90, (1, 2, 3, 5, 7)), (3000, (1023, 2047))):
        text = b'{"firmware":"' + encoded(DATA[:size]) + b'"}'
        for piece in pieces:
            for block_size in (1, 3, 1000):
                assert decoded(text, block_size, piece=piece) == DATA[:size]


def test_readinto_fills_memoryviews_and_buffers():
    stream = Base64Stream(Pieces(b'{"firmware":"' + encoded(DATA) + b'"}'), 10_000)
    block = bytearray(4096)
    assert stream.readinto(memoryview(block)[96:]) == 4000
    assert block[96:] == DATA[:4000]
    assert stream.readinto(block) == 1000


def test_other_members_and_space_around_it_are_skipped():
    text = encoded(b"hello world")
    for before, after in (
        (b' \r\n\t{ "firmware"\n:\t"', b'" } \n'),
        (b'{"a": "x", "firmware": "', b'", "b": 1}'),
        (b'{"a": "\\"firmware\\": \\"\\\\", "firmware": "', b'", "b": "}\\""}'),
        (b'{"a": {"firmware": "bm8="}, "firmware": "', b'", "b": [[], {}, {"c": [1, "]"]}]}'),
        (b'{"a":-1.5e+7,"b":true,"c":false,"d":null,"":"","firmware":"', b'","e":null }'),
        (b'{"firmware_": "bm8=", "firm": "bm8=", "firmware": "', b'"}'),
        (b'{"' + b"x" * 500 + b'": 1, "firmware": "', b'"}'),
        (b'{"a": "' + b"y" * 2500 + b'", "firmware": "', b'", "b": "' + b"z" * 2500 + b'"}'),
    ):
        for piece in (100_000, 3):
            assert decoded(before + text + after, piece=piece) == b"hello world"


def test_escapes_and_line_ends_in_the_text_are_understood():
    data = b"\xfb\xff\xbf" * 700  # nothing but + and / in base64
    text = encoded(data).decode()
    lines = "\\r\\n".join([text[i : i + 76] for i in range(0, len(text), 76)])
    for form in (
        text.replace("/", "\\/"),
        text.replace("+", "\\u002b"),
        text.replace("/", "\\u002F"),
        lines,
        lines.replace("/", "\\/") + "\\n",
        "\\n\\n" + text + "\\t",
    ):
        for piece in (100_000, 2047, 5):
            assert decoded(('{"firmware":"' + form + '"}').encode(), piece=piece) == data


def test_padding_only_at_the_end():
    assert decoded(b'{"firmware":"QQ=="}') == b"A"
    assert decoded(b'{"firmware":"QUI\\u003d"}') == b"AB"
    for text in (b"QQ==QQ==", b"QQ=A", b"=QQQ", b"Q===", b"====", b"QQ=", b"QUJ", b"Q", b"QUJDQ", b"QQ==Q", b"QQ===",
                 b"QQ==\\n="):  # fmt: skip
        refused(b'{"firmware":"' + text + b'"}', "base64")


def test_characters_that_are_not_base64_are_refused():
    for text in (b"QU*C", b"QUJD QUJD", b"QU-_", b"QUJD\x00QUJ", b"QUJD\n", b"\xff\xff\xff\xff", b"\\u0141AAA",
                 b"\\bAAA", b"\\\\AAA", b"\\u00e9AAA"):  # fmt: skip
        refused(b'{"firmware":"' + text + b'"}', "base64")
    for text in (b"\\u00g0AAA", b"QUJD\\u00", b"\\", b'\\"AAA'):
        refused(b'{"firmware":"' + text + b'"}', "")


def test_bad_character_deep_in_the_text_is_found():
    text = bytearray(encoded(DATA))
    for place in (0, 2047, 2048, 4000, len(text) - 3):
        broken = bytearray(text)
        broken[place] = ord("!")
        with raises(NetError, "that isn't base64"):
            decoded(b'{"firmware":"' + broken + b'"}')


def test_text_that_stops_anywhere_is_an_error():
    text = b'{"a": [1], "firmware": "' + encoded(DATA[:30]) + b'", "b": {}}'
    for stop in range(len(text)):
        refused(text[:stop], "")
    assert decoded(text) == DATA[:30]


def test_what_is_no_such_json_is_an_error():
    for text, part in (
        (b"", "no JSON object"),
        (b"<html>", "no JSON object"),
        (b'["firmware"]', "no JSON object"),
        (b"{}", "no member firmware"),
        (b'{"a": 1}', "no member firmware"),
        (b'{"firm\\u0077are": "QUJD"}', "no member firmware"),
        (b'{"firmware": null}', "that isn't text"),
        (b'{"firmware": ["QUJD"]}', "that isn't text"),
        (b'{"firmware" "QUJD"}', "broken JSON"),
        (b'{"firmware": "QUJD"]', "broken JSON"),
        (b'{"firmware": "QUJD",}', "broken JSON"),
        (b'{"firmware": "QUJD"} x', "something behind"),
        (b'{"firmware": "QUJD"}{', "something behind"),
        (b'{"firmware": "QUJD", "firmware": "QUJD"}', "twice"),
        (b'{"a": , "firmware": "QUJD"}', "broken JSON"),
        (b'{"a": }', "broken JSON"),
        (b'{"a": "\n", "firmware": "QUJD"}', "broken JSON"),
        (b'{"a": ' + b"[" * 20, "nested too deep"),
    ):
        refused(text, part)
    for text in (b'{"a": "' + b"x" * 20_000 + b'", "firmware": "QUJD"}', b'{"firmware": "QUJD"}' + b" " * 20_000):
        with raises(NetError, "too much around"):
            decoded(text)


def test_more_than_the_limit_is_not_decoded():
    text = b'{"firmware":"' + encoded(DATA) + b'"}'
    assert decoded(text, limit=5000) == DATA
    with raises(NetError, "longer than 4999 bytes"):
        decoded(text, limit=4999)
