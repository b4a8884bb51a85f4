"""boot.py and main.py as boards get them: the same program, each line in its place, with less to read."""

from __future__ import annotations

import ast

import pytest

from thermokeeper.errors import ToolError
from thermokeeper.files import PROJECT
from thermokeeper.release.application import BOARD_FILES, board_files
from thermokeeper.release.boardfiles import bare

SOURCE = b'''# Product main.py, revision 3
"""What it is.

More of it.
"""

import sys  # for the path

TEXT = "# no comment"  # a comment


class Over(Exception):
    """Its only line."""


def work(value):
    """What it does."""
    # why
    return """a text,
    # no comment""" if value else TEXT


def said(): "all in one line"
'''


def _without_docstrings(tree: ast.Module) -> str:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node, clean=False):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree)


@pytest.mark.parametrize("name", BOARD_FILES)
def test_this_project_s_own_are_the_same_programs_and_a_third_shorter(name: str) -> None:
    source = (PROJECT / name).read_bytes()
    written = board_files(PROJECT)[f"board/{name}"]
    assert _without_docstrings(ast.parse(written)) == _without_docstrings(ast.parse(source))
    assert len(written) < len(source) * 0.7
    assert written.split(b"\n")[0] == source.split(b"\n")[0], "the revision"


def test_comments_and_docstrings_go_and_lines_stay_where_they_are() -> None:
    written = bare(SOURCE, "main.py").decode()
    lines, before = written.split("\n"), SOURCE.decode().split("\n")
    assert len(lines) == len(before)
    assert lines[0] == before[0]
    assert [line for line in lines if "#" in line] == [
        before[0],
        'TEXT = "# no comment"',
        '    # no comment""" if value else TEXT',
    ]
    assert lines[before.index("    # why") + 1] == '    return """a text,'
    names: dict[str, object] = {}
    exec(written, names)
    assert names["work"](1) == "a text,\n    # no comment"  # type: ignore[operator]
    assert "What" not in written and "Its only line" not in written


def test_what_is_no_python_is_refused_by_its_name() -> None:
    for source in (b"def broken(:\n", b"\xff\xfe", b"'''"):
        with pytest.raises(ToolError, match="main.py isn't Python"):
            bare(source, "main.py")
