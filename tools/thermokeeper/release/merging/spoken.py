"""Names that can't be changed, because something that isn't a name in the code may ask for them; and new short ones.

A name in any text counts as asked for: `getattr` may get it from there. A name that stock firmware has counts as its
own: an object of the firmware may be what is asked for it. It must not know which names are to be changed.
"""

from __future__ import annotations

import ast
import functools
import re
import string
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path

from thermokeeper.release.merging.linking import Program
from thermokeeper.release.merging.symbols import Symbol

# attributes of MicroPython's own objects (sys.implementation, os.uname, machine)
_OF_MICROPYTHON = {"_build", "_machine", "_mpy", "_thread"}
_FIRMWARE_NAMES = Path(__file__).with_name("firmware_names.txt")  # tests/firmware_names.py makes it
_LOOK_UP = ("getattr", "hasattr", "setattr", "delattr")
_WORD = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")


class Spoken:
    """looked_up: what `getattr` and its like ask for in so many words. everything: all words there are.

    private: private names that stand in a text. keywords: names that arguments are given by. public: public names that
    stand in a text, in a file that stays as it is, or in the firmware.
    """

    def __init__(self, program: Program, others: Iterable[bytes]) -> None:
        """others: the files that stay as they are."""
        words_of_others = {word for content in others for word in _WORD.findall(content.decode("latin-1"))}
        contents = program.contents.values()
        texts = {text for found in contents for text in found.strings}
        words = {word for text in texts for word in _WORD.findall(text)}
        calls = [call for found in contents for call, _ in found.calls]
        self.looked_up = {text for call in calls for text in _looked_up(call)}
        self.private = {name for name in words | words_of_others if is_private(name)} | _OF_MICROPYTHON
        self.keywords = words_of_others.union(*(found.keywords for found in contents))
        if any(keyword.arg is None for call in calls for keyword in call.keywords):
            self.keywords |= texts  # f(**{"name": value})
        self.everything = words | words_of_others | self.keywords
        self.public = self.everything | _firmware_names()
        for found in contents:
            self.everything.update(use.name for use in found.uses)
            self.everything.update(attribute.attr for attribute, _ in found.attributes)
            self.everything.update(binding.local for binding in program.bindings[found.source.module])

    def is_free(self, symbol: Symbol) -> bool:
        """Whether nobody outside the release, and no text, asks for this global."""
        name = symbol.wanted[0]
        asked = symbol.fixed or name in self.looked_up or (symbol.outside and name in self.public)
        return not asked and not name.startswith("__") and not (is_private(name) and name in self.private)

    def is_own(self, attribute: str) -> bool:
        """Whether the release may give this attribute another name, if a class of it defines it."""
        if is_private(attribute):
            return True
        return attribute not in self.public and not attribute.startswith("_")

    def short_names(self) -> Iterator[str]:
        """Short private names that nothing has yet: the same ones each time it is asked."""
        for size in (1, 2, 3):
            for several in product(string.ascii_lowercase, repeat=size):
                name = "_" + "".join(several)
                if name not in self.everything:
                    yield name


def is_private(name: str) -> bool:
    """Whether it begins with one underscore."""
    return name.startswith("_") and not name.startswith("__") and name != "_"


@functools.cache
def _firmware_names() -> frozenset[str]:
    return frozenset(_FIRMWARE_NAMES.read_text(encoding="utf-8").split())


def _looked_up(call: ast.Call) -> Iterator[str]:
    if isinstance(call.func, ast.Name) and call.func.id in _LOOK_UP and len(call.args) > 1:
        name = call.args[1]
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            yield name.value
