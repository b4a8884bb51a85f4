"""Lines become commands: found, run, answered once, in words or in JSON."""

import json

from keeper.errors import CommandError, NetError, StateError
from keeper.typing import commands as typed_commands
from keeper.typing.commands import Commands, split
from support import raises


class Desk:
    """Somebody who types whole lines, and commands that keep what they were given."""

    def __init__(self):
        self.lines = []
        self.given = []
        self.said = []
        typed_commands.say = lambda topic, text: self.said.append("%s: %s" % (topic, text))
        self.commands = Commands(
            self,
            (
                ("help", None, "", "this list"),
                ("status", self.status, "[json]", "how it stands"),
                ("name", self.name, "TEXT", "give a name"),
                ("fail", self.fail, "", "fail"),
            ),
        )

    def take(self):
        return self.lines.pop(0) if self.lines else None

    def status(self, words):
        self.given.append(words)
        return [("slot", "ota_0"), ("network", None), ("names", ["a", "b"]), ("heap", 7)]

    def name(self, words):
        self.given.append(words)
        return "named"

    def fail(self, words):
        raise words[0] if words else NetError("the server is away")

    def types(self, line, fault=""):
        """What is said to a line."""
        self.said.clear()
        self.lines.append((line, fault))
        self.commands.step()
        return self.said

    def asks(self, line, fault=""):
        """The one answer to a line that a program typed."""
        (said,) = self.types(line, fault)
        assert said.startswith("answer: ")
        return json.loads(said[8:])


def test_without_a_line_nothing_happens():
    desk = Desk()
    desk.commands.step()
    assert desk.said == [] == desk.types("   ")


def test_a_command_gets_its_words_and_is_answered_in_a_line():
    desk = Desk()
    assert desk.types('name  a "b c" d ') == ["done: named"]
    assert desk.given == [["a", "b c", "d"]]


def test_what_there_is_to_tell_is_told_line_by_line():
    assert Desk().types("status") == [
        "status: slot ota_0",
        "status: network -",
        "status: names a, b",
        "status: heap 7",
    ]


def test_help_has_a_line_for_each_command():
    assert Desk().types("help") == [
        "help: help this list",
        "help: status [json]: how it stands",
        "help: name TEXT: give a name",
        "help: fail fail",
    ]


def test_a_program_gets_one_line_of_json():
    desk = Desk()
    status = {"slot": "ota_0", "network": None, "names": ["a", "b"], "heap": 7}
    assert desk.asks("json status") == {"command": "status", "ok": True, "result": status}
    assert desk.asks("status json") == {"command": "status", "ok": True, "result": status}
    assert desk.given == [[], []]
    assert desk.asks("json name json") == {"command": "name", "ok": True, "result": "named"}
    assert desk.types("name json") == ["done: named"]
    assert desk.asks("json fail") == {"command": "fail", "ok": False, "error": "the server is away"}
    assert desk.asks("json help")["result"]["name"] == "TEXT: give a name"


def test_every_line_of_a_program_is_answered():
    desk = Desk()
    for line, fault in (("json", ""), ("json ", ""), ("json nonsense", ""), ("json x", "too long"), ('json "a', "")):
        answer = desk.asks(line, fault)
        assert answer["command"] == "" and not answer["ok"] and answer["error"]


def test_what_is_no_command_is_refused_without_repeating_it():
    desk = Desk()
    assert desk.types("secret-token 1") == ["refused: no such command; help lists them"]
    assert desk.types("STATUS", "it is too long") == ["refused: it is too long"]
    assert desk.types('name "a') == ["refused: a quote is missing"]


def test_an_error_of_a_command_is_a_line():
    desk = Desk()
    assert desk.types("fail") == ["refused: fail: the server is away"]
    typed_commands.split = lambda line: ["fail", StateError("NVS is full")]
    try:
        assert desk.types("fail") == ["refused: fail: NVS is full"]
        typed_commands.split = lambda line: ["fail", MemoryError()]
        assert desk.types("fail") == ["refused: fail: there is not enough memory just now"]
        typed_commands.split = lambda line: ["fail", ValueError("a fault of the program")]
        with raises(ValueError):
            desk.types("fail")
    finally:
        typed_commands.split = split


def test_words_and_quotes():
    assert split("") == []
    assert split("a  b ") == ["a", "b"]
    assert split('wifi "my net" "key with \\" and \\\\"') == ["wifi", "my net", 'key with " and \\']
    assert split('""') == [""]
    assert split('a" "b') == ["a b"]
    assert split("a\\b") == ["a\\b"]
    for line in ('"', 'a "b', '"a\\"', '"a\\'):
        with raises(CommandError, "quote"):
            split(line)
