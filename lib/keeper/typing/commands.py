"""Lines typed on the console become commands, and each command one answer; docs/console.md describes both.

`step` runs one command, if a line is there, and is called only where nothing else is under way: a command may talk to
the server itself. Whatever a command raises becomes a line here and nowhere else. It must not know what commands there
are, nor what a board has.
"""

import json

from keeper.console import say
from keeper.errors import CommandError, KeeperError

_JSON = "json"  # before a line, or as the word that some commands take: the answer is for a program


class Commands:
    """typed: `lineinput.LineInput`. table: (name, function, arguments, what it does) of each command.

    A function gets the list of words after its name, and answers with a text, or with what is to be told as a list of
    (name, value). It raises a KeeperError if it can't do it.
    """

    def __init__(self, typed, table):
        self._typed = typed
        self._table = table

    def step(self):
        """Run the command that was typed, if one was. Never raises a KeeperError."""
        found = self._typed.take()
        if found is None:
            return
        line, fault = found
        name, for_program = "", line.startswith(_JSON + " ")
        try:
            if fault:
                raise CommandError(fault)
            words = split(line)
            for_program = words[:1] == [_JSON]
            if not words:
                return
            words = words[1:] if for_program else words
            name, words = "".join(words[:1]), words[1:]
            if name == "help":
                result = self._help()
            else:
                found = [row for row in self._table if row[0] == name]
                if not found:
                    name = ""  # whatever was typed, perhaps a secret
                    raise CommandError("no such command; help lists them")
                if words == [_JSON] and found[0][2] == "[json]":
                    for_program = bool(words.pop())
                result = found[0][1](words)
        except KeeperError as error:
            self._refuse(name, str(error), for_program)
        except MemoryError:
            self._refuse(name, "there is not enough memory just now", for_program)
        else:
            self._answer(name, result, for_program)

    def _help(self):
        return [(name, ("%s: %s" % (arguments, what)).lstrip(": ")) for name, _, arguments, what in self._table]

    def _answer(self, name, result, for_program):
        pairs = isinstance(result, list)
        if for_program:
            say("answer", json.dumps({"command": name, "ok": True, "result": dict(result) if pairs else result}))
        elif pairs:
            for field, value in result:
                value = ", ".join(value) if isinstance(value, list) else value
                say(name, "%s %s" % (field, "-" if value in (None, "") else value))
        else:
            say("done", result)

    def _refuse(self, name, why, for_program):
        if for_program:
            say("answer", json.dumps({"command": name, "ok": False, "error": why}))
        else:
            say("refused", "%s: %s" % (name, why) if name else why)


def split(line):
    r"""Words between spaces; one with spaces in it stands in "quotes", in which \" is a quote and \\ a backslash."""
    words = []
    word, quoted, escaped = None, False, False
    for char in line:
        if escaped:
            word, escaped = word + char, False
        elif quoted and char == "\\":
            escaped = True
        elif char == '"':
            word, quoted = word or "", not quoted
        elif char == " " and not quoted:
            if word is not None:
                words.append(word)
            word = None
        else:
            word = (word or "") + char
    if quoted:
        raise CommandError("a quote is missing")
    return words + ([] if word is None else [word])
