"""boot.py and main.py as boards get them: without comments and docstrings, each line still in its place.

They stay source, so that they run on every MicroPython, and are read and compiled at each start: on the emulated board
half of that time is for text that says nothing to it. Line numbers of tracebacks lead to the files in the repository.
"""

import ast
import functools
import io
import tokenize

from thermokeeper.errors import ToolError


@functools.lru_cache(maxsize=16)
def bare(source: bytes, name: str) -> bytes:
    """The same program. The first line stays: it has the revision. ToolError if it is no Python."""
    try:
        text = source.decode()
        tree = ast.parse(text)
        comments = [token for token in tokenize.generate_tokens(io.StringIO(text).readline) if _is_comment(token)]
    except (SyntaxError, ValueError, tokenize.TokenError) as error:
        raise ToolError(f"{name} isn't Python: {error}") from None
    lines = text.split("\n")
    for comment in comments:
        row, column = comment.start
        if row > 1:
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node, clean=False):
            _drop(lines, node.body[0], len(node.body) == 1 and not isinstance(node, ast.Module))
    return "\n".join(line.rstrip() for line in lines).encode()


def _is_comment(token: tokenize.TokenInfo) -> bool:
    return token.type == tokenize.COMMENT


def _drop(lines: list[str], docstring: ast.stmt, alone: bool) -> None:
    """Empty the lines of a docstring, if there is nothing else in them; a block must not become empty."""
    first, last = docstring.lineno - 1, (docstring.end_lineno or docstring.lineno) - 1
    indent = lines[first][: docstring.col_offset]
    if indent.strip() or lines[last][docstring.end_col_offset :].strip():
        return
    lines[first : last + 1] = [indent + "pass" if alone else ""] + [""] * (last - first)
