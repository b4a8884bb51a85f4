"""One Python file as text and as a tree, and changes of its text that leave every line where it is.

A traceback names lines, so a change may make a line longer or empty, but never adds or takes one. It must not know
why something is changed.
"""

from __future__ import annotations

import ast
import bisect
import functools
import io
import tokenize
from dataclasses import dataclass

from thermokeeper.errors import ToolError


class SourceError(ToolError):
    """The file isn't Python, merged or not."""


@dataclass(frozen=True, order=True)
class Span:
    """From the first byte to the one after the last; lines count from 1, columns from 0 and in bytes, as in `ast`."""

    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True)
class Word:
    """A name or a keyword in the text."""

    text: str
    span: Span


class Source:
    """A file of the release. `module`: its dotted name."""

    def __init__(self, path: str, module: str, content: bytes) -> None:
        self.path = path
        self.module = module
        self.tree, self._words, self.lines = _read(path, content)
        self._changes: dict[Span, str] = {}

    def words_from(self, line: int, column: int) -> list[Word]:
        """The names and keywords from a place on, in the order of the text; f-strings have none."""
        return self._words[bisect.bisect_left(self._words, (line, column), key=_start) :]

    def text(self, span: Span) -> str:
        """What stands there, of a span within one line."""
        return self.lines[span.line - 1][span.column : span.end_column].decode(errors="replace")

    def replace(self, span: Span, text: str, old: str | None = None) -> None:
        """Put `text` in place of a span. old: what must stand there; ToolError if it doesn't."""
        if old is not None and (span.line != span.end_line or self.text(span) != old):
            raise ToolError(f"{self.path}:{span.line}: {old} can't be renamed as it stands there; write it more simply")
        if self._changes.get(span, text) != text:
            raise AssertionError(f"{self.path}:{span.line}: two changes of one place")
        self._changes[span] = text

    def changed(self) -> bytes:
        """The text with all changes; line N is still line N."""
        lines = list(self.lines)
        last = Span(len(lines) + 1, 0, len(lines) + 1, 0)
        for span in sorted(self._changes, reverse=True):
            if (span.end_line, span.end_column) > (last.line, last.column):
                raise AssertionError(f"{self.path}:{span.line}: two changes overlap")
            last = span
            head = lines[span.line - 1][: span.column] + self._changes[span].encode()
            rest = lines[span.end_line - 1][span.end_column :]
            more = span.end_line - span.line
            if not more:
                lines[span.line - 1] = head + rest
            elif not rest.strip() or rest.strip().startswith(b"#"):
                lines[span.line - 1 : span.end_line] = [head, *[b""] * (more - 1), rest]
            else:  # a statement goes on behind it, and no statement can begin with what is left
                lines[span.line - 1 : span.end_line] = [head + b" \\", *[b"\\"] * (more - 1), rest]
        return b"".join(line + b"\n" for line in lines)


def span_of(node: ast.expr | ast.stmt | ast.arg | ast.keyword | ast.alias) -> Span:
    """Where a part of the tree stands."""
    assert node.end_lineno is not None and node.end_col_offset is not None
    return Span(node.lineno, node.col_offset, node.end_lineno, node.end_col_offset)


@functools.lru_cache(maxsize=512)  # from one release to the next nearly all files stay as they are
def _read(path: str, content: bytes) -> tuple[ast.Module, list[Word], list[bytes]]:
    """Tree, words and lines of a file; nobody changes them."""
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
        if text and not text.endswith("\n"):
            text += "\n"
        tree = ast.parse(text, path)
        words = _words(text)
    except UnicodeDecodeError:
        raise SourceError(f"{path} isn't UTF-8") from None
    except (SyntaxError, ValueError, tokenize.TokenError) as error:
        line = getattr(error, "lineno", None)
        reason = getattr(error, "msg", None) or str(error)
        raise SourceError(f"{path} doesn't compile: {f'line {line}: ' if line else ''}{reason}") from None
    return tree, words, [line.encode() for line in text.split("\n")[:-1]]


def _start(word: Word) -> tuple[int, int]:
    return word.span.line, word.span.column


def _words(text: str) -> list[Word]:
    lines = text.split("\n")
    found = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME:
            line, start = token.start
            column = len(lines[line - 1][:start].encode())
            found.append(Word(token.string, Span(line, column, line, column + len(token.string.encode()))))
    return found
