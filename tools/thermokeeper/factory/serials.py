"""The serial numbers of a new batch, from a pattern or a CSV file, each with a secret of its own."""

import csv
import re
import secrets
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from thermokeeper.contract.fields import is_serial_number
from thermokeeper.errors import ToolError
from thermokeeper.factory.units import Seed
from thermokeeper.files import read_bytes
from thermokeeper.formats.members import value_of

SECRET_BYTES = 32
# members of a factory record that aren't a board's own affair
_NOT_FROM_CSV = ("secret", "product", "service", "server", "plain_http", "ca")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")


def from_pattern(pattern: str, start: int, count: int, token: str | None = None) -> Iterator[Seed]:
    """`count` serial numbers like THERM{:014d}, from the number `start` on."""
    check_pattern(pattern)
    for number in range(start, start + count):
        yield _seed(pattern.format(number), f"--pattern {pattern}", pattern=pattern, number=number, token=token)


def check_pattern(pattern: str) -> None:
    """ToolError if it isn't one."""
    try:
        fields = [name for _, name, _, _ in string.Formatter().parse(pattern) if name is not None]
        same = fields != [""] or pattern.format(1) == pattern.format(2)
    except (ValueError, IndexError, KeyError):
        same = True
    if same:
        raise ToolError(f"--pattern {pattern}: needs one place for the number, like THERM{{:014d}}")


def from_csv(path: Path, token: str | None = None) -> Iterator[Seed]:
    """A row for each serial number. Columns: `serial`; `token`, `wifi` (SSID:KEY); others are settings of that board.

    An empty cell is as good as none. token: for rows without one.
    """
    from thermokeeper.formats.nvs import parse_network

    rows = csv.DictReader(_text(path).splitlines(), strict=True)
    try:
        columns = [name.strip() for name in rows.fieldnames or []]
        _check_columns(path, columns)
        rows.fieldnames = columns
        for name in columns:
            if name in _NOT_FROM_CSV or not name.isidentifier():
                raise ToolError(f"{path}: a column {name!r} can't be in it")
        for row in rows:
            where = f"{path}, line {rows.line_num}"
            if None in row or None in row.values():
                raise ToolError(f"{where}: has another number of cells than the first line")
            if not any(cell.strip() for cell in row.values()):
                raise ToolError(f"{where}: an empty row; delete it, a spreadsheet leaves such at the end")
            cells = {name: cell.strip() for name, cell in row.items() if cell.strip()}
            wifi = cells.pop("wifi", None)
            if wifi:
                parse_network(wifi)  # refuses, before anything is made
            serial, own = cells.pop("serial", ""), cells.pop("token", token)
            members = {name: value_of(cell) for name, cell in cells.items()}
            yield _seed(serial, where, token=own, wifi=wifi, members=members)
    except csv.Error as error:
        raise ToolError(f"{path}, line {rows.line_num}: {error}") from None


def _text(path: Path) -> str:
    """The file's text; ToolError says how a spreadsheet has written it, if not as UTF-8."""
    data = read_bytes(path, "a CSV file with a column `serial`")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ToolError(f'{path} is in UTF-16 ("Unicode text"); save it as CSV in UTF-8')
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ToolError(f"{path} is not text in UTF-8; save it as CSV in UTF-8") from None


def _check_columns(path: Path, columns: list[str]) -> None:
    first = ",".join(columns)
    if first.lower().startswith("sep="):
        raise ToolError(f"{path}: its first line {first!r} is a spreadsheet's own; delete it")
    for mark, name in ((";", ";"), ("\t", "tabs")):
        if "serial" not in columns and "serial" in first.lower().split(mark):
            raise ToolError(f"{path}: its cells are separated by {name}; save it with commas between them")
    if "" in columns:
        raise ToolError(f"{path}: a column without a name; delete it, a spreadsheet leaves such at the end")
    if "serial" not in columns and "serial" in first.lower().split(","):
        raise ToolError(f"{path}: the names of columns are in lower case: serial, not {first}")
    if "serial" not in columns or len(set(columns)) < len(columns):
        raise ToolError(f"{path}: the first line must name the columns, each once, among them `serial`")


def read_token_file(path: Path) -> str:
    """A provisioning token that is for all boards of a batch."""
    text = read_bytes(path, "a file with a provisioning token").decode(errors="replace").strip()
    return _checked_token(text, str(path))


def _seed(serial: str, where: str, *, token: str | None = None, **rest: Any) -> Seed:
    if not is_serial_number(serial):
        raise ToolError(f"{where}: {serial!r} is no serial number: 1 to 64 letters, digits, - _ and .")
    if token is not None:
        _checked_token(token, where)
    return Seed(serial=serial, secret=secrets.token_hex(SECRET_BYTES), token=token, **rest)


def _checked_token(token: str, where: str) -> str:
    if not _TOKEN.fullmatch(token):
        raise ToolError(f"{where}: the provisioning token isn't one: 1 to 64 letters, digits, - and _")
    return token
